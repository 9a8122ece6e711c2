"""The error of compiled attention against float64: at most twice that of the unfused f32 computation.

    attention_truth.py --raptc R --rapt-run R

The graph is softmax(scale * q.kT + mask).v in operators of its own (MatMul, Mul, Add, Softmax, MatMul), in
two layouts: heads split off [batch, seq, heads * dim] by Reshape and Transpose, or given as [batch,
heads, seq, dim]. The unfused computation is onnxruntime without graph optimisations. The inputs are
random and adversarial.
"""

import os
import tempfile

import numpy as np
from onnx import TensorProto, helper

import e2e

HEADS = 2
LOWEST = float(np.finfo(np.float32).min)
# What no f32 computation can promise better: one rounding of the largest value of the result.
ROUNDING = float(np.finfo(np.float32).eps)


def make_model(layout, dim):
    """The model: inputs q, k, v and an additive mask [batch, 1, 1, keys]; output y."""
    nodes, f32 = [], TensorProto.FLOAT
    split = layout == "tokens"
    if split:
        shapes = {n: ["batch", s, HEADS * dim] for n, s in (("q", "queries"), ("k", "keys"), ("v", "keys"))}
        out = ["batch", "queries", HEADS * dim]
        for name in "qkv":
            nodes.append(helper.make_node("Reshape", [name, "split"], [name + "4"]))
            nodes.append(helper.make_node("Transpose", [name + "4"], [name + "h"], perm=[0, 2, 1, 3]))
    else:
        shapes = {n: ["batch", HEADS, s, dim] for n, s in (("q", "queries"), ("k", "keys"), ("v", "keys"))}
        out = ["batch", HEADS, "queries", dim]
    suffix = "h" if split else ""
    nodes += [
        helper.make_node("Transpose", ["k" + suffix], ["kt"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q" + suffix, "kt"], ["products"]),
        helper.make_node("Mul", ["products", "scale"], ["scores"]),
        helper.make_node("Add", ["scores", "mask"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "v" + suffix], ["yh" if split else "y"]),
    ]
    if split:
        nodes += [helper.make_node("Transpose", ["yh"], ["yt"], perm=[0, 2, 1, 3]),
                  helper.make_node("Reshape", ["yt", "merge"], ["y"])]
    inputs = [helper.make_tensor_value_info(n, f32, s) for n, s in shapes.items()]
    inputs.append(helper.make_tensor_value_info("mask", f32, ["batch", 1, 1, "keys"]))
    constants = [helper.make_tensor("scale", f32, [], [dim ** -0.5])]
    if split:
        constants += [helper.make_tensor("split", TensorProto.INT64, [4], [0, 0, HEADS, dim]),
                      helper.make_tensor("merge", TensorProto.INT64, [3], [0, 0, HEADS * dim])]
    graph = helper.make_graph(nodes, "attention", inputs,
                              [helper.make_tensor_value_info("y", f32, out)], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def truth(q, k, v, mask, scale):
    """Attention in float64 on [batch, heads, seq, dim]. A key under the finite sentinel keeps no trace of
    its score, as in f32: x + -FLT_MAX rounds to -FLT_MAX. So a row with every key masked is the mean of v.
    """
    q, k, v = (a.astype(np.float64) for a in (q, k, v))
    scores = np.float64(scale) * (q @ np.swapaxes(k, -1, -2))
    scores = np.where(mask == LOWEST, LOWEST, scores + mask)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return (scores / scores.sum(-1, keepdims=True)) @ v


def cases(dim, rng):
    """Yields (name, q, k, v, mask) in [batch, heads, seq, dim]."""
    def normal(batch, seq, scale=1.0):
        return (scale * rng.standard_normal((batch, HEADS, seq, dim))).astype(np.float32)

    def zeros(batch, keys):
        return np.zeros((batch, 1, 1, keys), np.float32)

    for batch, queries, keys in ((1, 8, 8), (2, 37, 37), (1, 129, 129), (1, 7, 300), (3, 1, 64)):
        yield f"random {batch}x{queries}x{keys}", normal(batch, queries), normal(batch, keys), \
            normal(batch, keys), zeros(batch, keys)
    for size in (4.0, 16.0, 64.0):  # logits up to about size^2 * sqrt(dim)
        yield f"large logits x{size:g}", normal(1, 40, size), normal(1, 40, size), normal(1, 40), zeros(1, 40)
    q, k, v = normal(1, 16), normal(1, 65), normal(1, 65)
    k[:, :, 33] = 50 * q.mean(axis=2)
    yield "one hot key", q, k, v, zeros(1, 65)
    q = np.abs(normal(1, 16))
    k = normal(1, 65)
    k[:, :, 64] = 40
    yield "last key takes all", q, k, v, zeros(1, 65)
    mask = np.full((2, 1, 1, 33), LOWEST, np.float32)
    mask[0, ..., 5] = mask[1, ..., 32] = 0
    yield "all keys masked but one", normal(2, 9), normal(2, 33), normal(2, 33), mask
    mask = np.full((2, 1, 1, 33), LOWEST, np.float32)
    mask[0] = 0
    yield "every key masked", normal(2, 9), normal(2, 33), normal(2, 33), mask
    mask = zeros(2, 50)
    mask[1, ..., 20:] = LOWEST
    yield "padding", normal(2, 50), normal(2, 50), normal(2, 50), mask
    mask = np.full((1, 1, 1, 24), -10000, np.float32)
    mask[..., :3] = 0
    yield "sentinel -10000", normal(1, 24), normal(1, 24), normal(1, 24), mask
    yield "sequence 1", normal(1, 1), normal(1, 1), normal(1, 1), zeros(1, 1)
    yield "equal scores", zeros4(1, 20, dim), normal(1, 1000), normal(1, 1000), zeros(1, 1000)
    yield "tiny values", normal(1, 12, 1e-20), normal(1, 12, 1e-20), normal(1, 12, 1e-30), zeros(1, 12)


def zeros4(batch, seq, dim):
    return np.zeros((batch, HEADS, seq, dim), np.float32)


def to_layout(layout, a):
    if layout == "heads":
        return a
    return np.ascontiguousarray(np.swapaxes(a, 1, 2)).reshape(a.shape[0], a.shape[2], -1)


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=64, help="size of one head")
    parser.add_argument("--flag", action="append", default=[], help="one more flag for raptc")
    args = parser.parse_args()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for layout in ("tokens", "heads"):
            model = make_model(layout, args.dim)
            path = os.path.join(folder, f"{layout}.onnx")
            with open(path, "wb") as f:
                f.write(model.SerializeToString())
            if "attn.sdpa" not in e2e.execute([args.raptc, path, "--compile-to=fuse"]):
                raise e2e.Failure(f"{layout}: no attn.sdpa after --compile-to=fuse")
            oracle = e2e.Oracle(model.SerializeToString())
            for kernels in args.kernels.split(","):
                artifact = os.path.join(folder, f"{layout}-{kernels}.so")
                e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}", *args.flag])
                for name, *values in cases(args.dim, np.random.default_rng(8)):
                    *qkv, mask = values
                    inputs = dict(zip("qkv", (to_layout(layout, a) for a in qkv)), mask=mask)
                    want = to_layout(layout, truth(*qkv, mask, np.float32(args.dim ** -0.5)))
                    unfused = float(np.abs(oracle.run(inputs)["y"] - want).max())
                    got = e2e.run_model(args.rapt_run, artifact, inputs, folder)["y"]
                    fused = float(np.abs(got - want).max()) if got.shape == want.shape else np.inf
                    bound = 2 * unfused + ROUNDING * float(np.abs(want).max())
                    line = f"{layout} {kernels}, {name}: error {fused:.3g}, unfused {unfused:.3g}"
                    print(line)
                    if not fused <= bound:  # a NaN fails too
                        failures.append(line)
    if failures:
        raise e2e.Failure("more than twice the error of the unfused computation:\n" + "\n".join(failures))


if __name__ == "__main__":
    e2e.main(check)
