"""RNN, GRU and LSTM with every optional input and attribute, against onnxruntime.

    recurrent.py --raptc R --rapt-run R

One model holds many nodes, all on one x [seq, batch, 5] and, where a case says so, on the lengths of its
sequences. Weights are constants. Run at several shapes; a length is from 1 to seq.
"""

import os
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import check_model
import e2e

INPUTS, HIDDEN = 5, 7
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
SHAPES = [(1, 1), (2, 3), (9, 2), (6, 8)]

# (operator, direction, optional inputs, attributes)
CASES = [
    ("RNN", "forward", "", {}),
    ("RNN", "reverse", "B lens h", dict(activations=["Relu"])),
    ("RNN", "bidirectional", "B lens", dict(activations=["Affine", "ScaledTanh"], activation_alpha=[0.5, 1.5],
                                            activation_beta=[0.1, 0.7])),
    ("RNN", "forward", "B", dict(activations=["LeakyRelu"], activation_alpha=[0.2], clip=0.4)),
    ("RNN", "forward", "B", dict(activations=["Softsign"])),
    ("RNN", "forward", "B", dict(activations=["Softplus"], clip=3.0)),
    ("RNN", "forward", "B", dict(activations=["Elu"], activation_alpha=[0.9])),
    ("RNN", "forward", "B", dict(activations=["ThresholdedRelu"], activation_alpha=[0.1])),
    ("RNN", "forward", "B", dict(activations=["HardSigmoid"], activation_alpha=[0.3], activation_beta=[0.4])),
    ("GRU", "forward", "", {}),
    ("GRU", "reverse", "B lens h", {}),
    ("GRU", "bidirectional", "B lens h", dict(linear_before_reset=1)),
    ("GRU", "forward", "B", dict(linear_before_reset=1, clip=0.5)),
    ("GRU", "forward", "B", dict(activations=["HardSigmoid", "Softsign"])),
    ("LSTM", "forward", "", {}),
    ("LSTM", "reverse", "B lens h c", {}),
    ("LSTM", "bidirectional", "B lens h c P", {}),
    ("LSTM", "forward", "B P", dict(input_forget=1)),
    ("LSTM", "forward", "B", dict(clip=0.3)),
    ("LSTM", "forward", "B h c", dict(activations=["Sigmoid", "Relu", "Affine"], activation_alpha=[1.2],
                                      activation_beta=[0.3])),
]


def node(number, case, rng):
    """The node of a case, its constants and the names of its outputs."""
    operator, direction, given, attributes = case
    gates, directions = GATES[operator], 2 if direction == "bidirectional" else 1
    arrays = {"W": (directions, gates * HIDDEN, INPUTS), "R": (directions, gates * HIDDEN, HIDDEN),
              "B": (directions, 2 * gates * HIDDEN), "P": (directions, 3 * HIDDEN)}
    given = given.split()
    constants = [numpy_helper.from_array((0.4 * rng.standard_normal(shape)).astype(np.float32), f"{name}{number}")
                 for name, shape in arrays.items() if name in "WR" or name in given]
    names = ["x", f"W{number}", f"R{number}", f"B{number}" if "B" in given else "",
             "lens" if "lens" in given else "", f"h{directions}" if "h" in given else "",
             f"c{directions}" if "c" in given else "", f"P{number}" if "P" in given else ""]
    if operator != "LSTM":
        names = names[:6]
    outputs = [f"y{number}", f"h_{number}"] + ([f"c_{number}"] if operator == "LSTM" else [])
    return helper.make_node(operator, names, outputs, name=f"case{number}", direction=direction,
                            hidden_size=HIDDEN, **attributes), constants, outputs


def build(rng):
    nodes, constants, outputs = [], [], []
    for number, case in enumerate(CASES):
        made, own, names = node(number, case, rng)
        nodes.append(made)
        constants += own
        outputs += names
    real, state = TensorProto.FLOAT, ["batch", HIDDEN]
    inputs = [helper.make_tensor_value_info("x", real, ["seq", "batch", INPUTS]),
              helper.make_tensor_value_info("lens", TensorProto.INT32, ["batch"])]
    inputs += [helper.make_tensor_value_info(f"{name}{d}", real, [d, *state]) for name in "hc" for d in (1, 2)]
    graph = helper.make_graph(nodes, "recurrent", inputs,
                              [helper.make_tensor_value_info(name, real, None) for name in outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def check():
    args = e2e.parser(__doc__.splitlines()[0]).parse_args()
    rng = np.random.default_rng(3)
    model = build(rng)
    oracle = e2e.Oracle(model.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recurrent.onnx")
        onnx.save(model, path)
        for kernels in args.kernels.split(","):
            artifact = os.path.join(folder, f"{kernels}.so")
            e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
            for seq, batch in SHAPES:
                inputs = {"x": rng.standard_normal((seq, batch, INPUTS)).astype(np.float32),
                          "lens": rng.integers(1, seq + 1, batch).astype(np.int32)}
                inputs |= {f"{name}{d}": rng.standard_normal((d, batch, HIDDEN)).astype(np.float32)
                           for name in "hc" for d in (1, 2)}
                what = f"{kernels} seq={seq} batch={batch}"
                got = e2e.run_model(args.rapt_run, artifact, inputs, folder)
                worst = e2e.compare(got, oracle.run(inputs), check_model.TOLERANCE, what)
                print(f"{what}: differs by {worst:.1e} of the largest element")


if __name__ == "__main__":
    e2e.main(check)
