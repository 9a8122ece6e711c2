"""One layer of every kernel family at sizes around its tiles, vectors and panels.

    tiles.py --raptc R --rapt-run R [--width K --columns N]

x[rows, K] . W[K, N] + b, GELU, LayerNorm over N, softmax over N, with one artifact for 1 row to beyond
every tile; K and N are not multiples of a vector unless asked for. Truth is float64.
"""

import math
import os
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import check_model
import e2e

ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96,
        97, 127, 128, 129, 191, 192, 193, 255, 256, 257, 511, 513, 1025)
EPSILON = 1e-5


def make_model(weights):
    """The model: input x, outputs product, gelu, norm, softmax; `weights` are its initialisers."""
    width, columns = weights["w"].shape
    nodes = [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["product"]),
             helper.make_node("Gelu", ["product"], ["gelu"]),
             helper.make_node("LayerNormalization", ["gelu", "gain", "shift"], ["norm"], epsilon=EPSILON),
             helper.make_node("Softmax", ["norm"], ["softmax"])]
    info = lambda name, last: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", last])
    outputs = [info(name, columns) for name in ("product", "gelu", "norm", "softmax")]
    graph = helper.make_graph(nodes, "layer", [info("x", width)], outputs,
                              [numpy_helper.from_array(a, name) for name, a in weights.items()])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 20)])


def truth(x, weights):
    """All outputs, in float64."""
    w = {name: a.astype(np.float64) for name, a in weights.items()}
    product = x.astype(np.float64) @ w["w"] + w["b"]
    gelu = product / 2 * (1 + np.vectorize(math.erf)(product / math.sqrt(2)))
    centred = gelu - gelu.mean(-1, keepdims=True)
    norm = centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + EPSILON) * w["gain"] + w["shift"]
    softmax = np.exp(norm - norm.max(-1, keepdims=True))
    return {"product": product, "gelu": gelu, "norm": norm, "softmax": softmax / softmax.sum(-1, keepdims=True)}


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=37)
    parser.add_argument("--columns", type=int, default=53)
    args = parser.parse_args()
    rng = np.random.default_rng(12)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    weights = {"w": normal(args.width, args.columns) / np.float32(math.sqrt(args.width)), "b": normal(args.columns),
               "gain": normal(args.columns), "shift": normal(args.columns)}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "layer.onnx")
        with open(path, "wb") as f:
            f.write(make_model(weights).SerializeToString())
        for kernels in args.kernels.split(","):
            artifact = os.path.join(folder, f"{kernels}.so")
            e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
            worst = 0.0
            for rows in ROWS:
                x = normal(rows, args.width)
                want = {name: a.astype(np.float32) for name, a in truth(x, weights).items()}
                got = e2e.run_model(args.rapt_run, artifact, {"x": x}, folder, ["--threads=2"])
                what = f"{kernels} {rows} x {args.width} x {args.columns}"
                worst = max(worst, e2e.compare(got, want, check_model.TOLERANCE, what))
            print(f"{kernels} x {args.width} x {args.columns}: {len(ROWS)} sizes, "
                  f"differs by at most {worst:.1e} of the largest element")


if __name__ == "__main__":
    e2e.main(check)
