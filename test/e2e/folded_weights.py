"""Operations on weights alone, which raptc computes once, against onnxruntime.

    folded_weights.py --raptc R --rapt-run R

One model with an output for each case: an expression of random weights, too large for simplify-fold, times
the input. After simplify nothing is left of the expressions but constants.
"""

import os
import re
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper

import e2e

TOLERANCE = 2e-5


class Graph:
    """Nodes and initializers, each value by its name."""

    def __init__(self):
        self.nodes, self.weights, self.outputs = [], [], []
        self.rng = np.random.default_rng(0)

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def floats(self, *shape, type=np.float32):
        return self.constant(self.rng.standard_normal(shape).astype(type))

    def ints(self, *numbers, type=np.int64):
        return self.constant(np.array(numbers, type))

    def add(self, operator, *operands, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(operands), names, **attributes))
        return names[0] if outputs == 1 else names

    def output(self, name, value, type=np.float32):
        element = helper.np_dtype_to_tensor_dtype(np.dtype(type))
        self.nodes.append(helper.make_node("Mul", [f"x{element}", value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, element, None))

    def model(self):
        inputs = [helper.make_tensor_value_info(f"x{t}", t, [1])
                  for t in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)]
        graph = helper.make_graph(self.nodes, "folded", inputs, self.outputs, self.weights)
        opset = helper.make_opsetid("", 23)
        return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def build():
    g = Graph()
#Sizes that no tile divides.
    g.output("product", g.add("MatMul", g.floats(301, 259), g.floats(259, 77)))
    g.output("row", g.add("MatMul", g.floats(1, 1031), g.floats(1031, 401)))
    g.output("batches", g.add("MatMul", g.floats(5, 1, 129, 65), g.floats(3, 65, 35)))
    g.output("matrices", g.add("MatMul", g.floats(3, 129, 199), g.floats(1, 199, 37)))
    g.output("gemm", g.add("Gemm", g.floats(257, 301), g.floats(65, 257), g.floats(65), transA=1, transB=1, alpha=0.5,
                           beta=2.0))
    g.output("wide", g.add("MatMul", g.floats(301, 259, type=np.float64), g.floats(259, 77, type=np.float64)), np.float64)
#An adapter : weights plus a product of two narrow matrices.
    g.output("adapter", g.add("Add", g.floats(299, 301), g.add("MatMul", g.floats(299, 4), g.floats(4, 301))))
#Positions of DeBERTa : a norm and a projection for each of two layers.
    table = g.add("LayerNormalization", g.floats(300, 260), g.floats(260), g.floats(260), axis=-1, epsilon=1e-7)
    for layer in range(2):
        keys = g.add("Add", g.floats(260), g.add("MatMul", table, g.floats(260, 260)))
        heads = g.add("Reshape", keys, g.ints(1, 300, 4, 65))
        heads = g.add("Transpose", heads, perm=[0, 2, 1, 3])
        g.output(f"positions{layer}", g.add("Reshape", heads, g.ints(4, 300, 65)))
    g.output("norm", g.add("LayerNormalization", g.floats(7, 100, 101), g.floats(100, 101), axis=1))
    g.output("rms", g.add("RMSNormalization", g.floats(300, 257), g.floats(257), axis=-1))
#The same norm as exporters write it.
    x = g.floats(300, 257)
    rest = g.add("Sub", x, g.add("ReduceMean", x, g.ints(-1)))
    variance = g.add("ReduceMean", g.add("Pow", rest, g.constant(np.float32(2))), g.ints(-1))
    deviation = g.add("Sqrt", g.add("Add", variance, g.constant(np.float32(1e-5))))
    g.output("written-out", g.add("MatMul", g.add("Div", rest, deviation), g.floats(257, 64)))
    g.output("sums", g.add("ReduceSum", g.floats(37, 65, 43), g.ints(0, 2), keepdims=0))
    for operator in ("Neg", "Abs", "Exp", "Erf", "Tanh", "Sigmoid", "Relu", "Sin", "Cos", "Reciprocal"):
        g.output(operator.lower(), g.add(operator, g.floats(257, 257)))
    special = np.full((257, 257), np.nan, np.float32)
    special[0], special[1], special[2] = np.inf, -np.inf, 0
    g.output("special", g.add("Mul", g.constant(special), g.floats(257, 1)))
    g.output("special-product", g.add("MatMul", g.constant(special), g.floats(257, 33)))
    g.output("special-relu", g.add("Relu", g.constant(special)))
#Movement that makes nothing larger.
    g.output("turned", g.add("Reshape", g.add("Transpose", g.floats(33, 65, 41), perm=[2, 0, 1]), g.ints(41 * 33, 65)))
    g.output("slice", g.add("Slice", g.floats(301, 403), g.ints(-1, 3), g.ints(-301, 400), g.ints(0, 1), g.ints(-2, 3)))
    packed = g.floats(101, 903)
    for part in range(3):
        piece = g.add("Slice", packed, g.ints(301 * part), g.ints(301 * part + 301), g.ints(1))
        g.output(f"part{part}", piece)
    rows = g.constant(g.rng.integers(-500, 500, (2, 100)).astype(np.int32))
    g.output("rows", g.add("Gather", g.floats(3, 500, 50), rows, axis=1))
    g.output("concat", g.add("Concat", g.floats(3, 101, 259), g.floats(3, 7, 259), axis=1))
    g.output("cast", g.add("Cast", g.floats(257, 259, type=np.float64), to=onnx.TensorProto.FLOAT))
    g.output("expanded", g.add("MatMul", g.floats(300, 260), g.add("Expand", g.floats(260, 1), g.ints(260, 33))))
    return g.model()


def check_that_all_is_folded(raptc, path, folder):
    ir = os.path.join(folder, "simplify.mlir")
    e2e.execute([raptc, path, "--compile-to=simplify", "-o", ir])
    with open(ir, encoding="utf-8") as f:
        left = sorted(set(re.findall(r"onnx\.([A-Z]\w*) ", f.read())) - {"Constant", "Mul"})
    if left:
        raise e2e.Failure(f"simplify leaves {', '.join(left)} on weights alone")


def run():
    args = e2e.parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
        onnx.save(build(), path)
        check_that_all_is_folded(args.raptc, path, folder)
        feed = {"x1": np.ones(1, np.float32), "x11": np.ones(1, np.float64)}
        want = e2e.Oracle(path).run(feed)
        for kernels in args.kernels.split(","):
            e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
            got = e2e.run_model(args.rapt_run, artifact, feed, folder)
            worst = e2e.compare(got, want, TOLERANCE, kernels)
            print(f"{kernels}: {len(want)} outputs, {worst:.2e} of the largest")


if __name__ == "__main__":
    e2e.main(run)
