"""Attention and products with a weight in f16 and bf16, against float64 on the same rounded operands.

Inputs and outputs are f32, with a Cast to the narrow type at either end, and f16 where the type of the model is f16.
Each operator rounds once: what differs by more than half a unit in the last place of the narrow type, and a little for
sums in f32, is wrong. With Halide's kernels the report must name the recipes attention and gemm: neither may fall back
to reference kernels.
"""

import json
import os
import tempfile

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

import e2e

NARROW = {"f16": (TensorProto.FLOAT16, np.float16, 2.0**-11),
          "bf16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16, 2.0**-8)}
BATCH, HEADS, SHARED, QUERIES, KEYS, DIM, ROWS, WIDE, COLUMNS = 2, 4, 2, 37, 45, 16, 13, 40, 56


def attention(q, k, v, mask=None, causal=False, softcap=0.0):
    """What Attention-23 says, in float64. A float mask is added, below it -inf excludes."""
    k, v = (np.repeat(x, HEADS // SHARED, axis=1) for x in (k, v))
    scores = q @ k.swapaxes(2, 3) / np.sqrt(DIM)
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask
    if causal:
        scores = np.where(np.arange(KEYS) <= np.arange(QUERIES)[:, None], scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def inputs(random):
    mask = random.standard_normal((1, 1, QUERIES, KEYS))
    mask[:, :, :, 5:20:3] = -np.inf
    return {"q": random.standard_normal((BATCH, HEADS, QUERIES, DIM)),
            "k": random.standard_normal((BATCH, SHARED, KEYS, DIM)),
            "v": random.standard_normal((BATCH, SHARED, KEYS, DIM)), "mask": mask,
            "x": random.standard_normal((BATCH, ROWS, WIDE))}


def model_of(element, direct, weight):
    """One node of each form; `direct`: no Cast at the ends."""
    sizes = {"q": ["b", HEADS, "i", DIM], "k": ["b", SHARED, "j", DIM], "v": ["b", SHARED, "j", DIM],
             "mask": [1, 1, "i", "j"], "x": ["b", "rows", WIDE]}
    outer = element if direct else TensorProto.FLOAT
    nodes, outputs = [], []
    if not direct:
        nodes += [helper.make_node("Cast", [name], [name + "_n"], to=element) for name in sizes]
    at = (lambda name: name) if direct else (lambda name: name + "_n")

    def give(name, op, operands, shape, **attributes):
        nodes.append(helper.make_node(op, [at(o) if o in sizes else o for o in operands],
                                      [name if direct else name + "_n"], name=name, **attributes))
        if not direct:
            nodes.append(helper.make_node("Cast", [name + "_n"], [name], to=outer))
        outputs.append(helper.make_tensor_value_info(name, outer, shape))

    heads = ["b", HEADS, "i", DIM]
    give("plain", "Attention", ["q", "k", "v"], heads)
    give("biased", "Attention", ["q", "k", "v", "mask"], heads)
    give("causal", "Attention", ["q", "k", "v"], heads, is_causal=1)
    give("capped", "Attention", ["q", "k", "v"], heads, softcap=2.0)
    give("product", "MatMul", ["x", "w"], ["b", "rows", COLUMNS])
    graph = helper.make_graph(
        nodes, "narrow", [helper.make_tensor_value_info(n, outer, s) for n, s in sizes.items()], outputs,
        [helper.make_tensor("w", element, weight.shape, weight.astype(np.float32).ravel().tolist())])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


def expected(feed, weight):
    q, k, v, mask, x = (feed[name].astype(np.float64) for name in ("q", "k", "v", "mask", "x"))
    return {"plain": attention(q, k, v), "biased": attention(q, k, v, mask),
            "causal": attention(q, k, v, causal=True), "capped": attention(q, k, v, softcap=2.0),
            "product": x @ weight.astype(np.float64)}


def check_recipes(raptc, path):
    kernels = json.loads(e2e.execute([raptc, path, "--report=json"]))["kernels"]
    recipes = [kernel["schedule"]["recipe"] for kernel in kernels]
    if "reference" in recipes or recipes.count("attention") != 4 or "gemm" not in recipes:
        raise e2e.Failure(f"{path}: recipes are {recipes}")


def has_f16c():
    """Without these instructions Halide's rounding to f16 is not used."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        return " f16c" in info.read()


def check(args, name, direct, folder):
    element, dtype, half = NARROW[name]
    random = np.random.default_rng(7)
    feed = {key: value.astype(dtype) for key, value in inputs(random).items()}
    weight = random.standard_normal((WIDE, COLUMNS)).astype(dtype)
    path = os.path.join(folder, f"{name}-{direct}.onnx")
    onnx.save(model_of(element, direct, weight), path)
    want = expected(feed, weight)
    given = feed if direct else {key: value.astype(np.float32) for key, value in feed.items()}
    for kernels in args.kernels.split(","):
        artifact = os.path.join(folder, "model.so")
        e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
        got = e2e.run_model(args.rapt_run, artifact, given, folder)
        for output, values in want.items():
            error = np.abs(got[output].astype(np.float64) - values) - half * np.abs(values)
            if not (error <= 1e-5 * np.abs(values).max()).all():
                raise e2e.Failure(f"{name} {output} with {kernels} kernels: off by {error.max():.2e} more than half an ulp")
        if kernels == "halide" and (has_f16c() or name == "bf16"):
            check_recipes(args.raptc, path)
    print(f"{name}{' without casts' if direct else ''}: right")


def check_round_trip(args, name, folder):
    """A graph's own Cast rounds and overflows, also where one back to f32 follows in the same kernel."""
    element, dtype, _ = NARROW[name]
    nodes = [helper.make_node("Mul", ["x", "x"], ["square"]), helper.make_node("Cast", ["square"], ["n"], to=element),
             helper.make_node("Cast", ["n"], ["wide"], to=TensorProto.FLOAT), helper.make_node("Neg", ["wide"], ["y"])]
    values = [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["length"]) for value in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "there_and_back", values[:1], values[1:]),
                              opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    path, artifact = os.path.join(folder, "casts.onnx"), os.path.join(folder, "casts.so")
    onnx.save(model, path)
    x = np.random.default_rng(8).standard_normal(1000).astype(np.float32)
    x[:4] = [300.0, 255.875, 1e10, 1.7e19]
    with np.errstate(over="ignore"):
        want = -(x * x).astype(dtype).astype(np.float32)
    for kernels in args.kernels.split(","):
        e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
        e2e.compare(e2e.run_model(args.rapt_run, artifact, {"x": x}, folder), {"y": want}, 0, f"{name} {kernels}")
    print(f"{name} and back: right")


def main():
    args = e2e.parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check(args, "f16", False, folder)
        check(args, "bf16", False, folder)
        check(args, "f16", True, folder)
        check_round_trip(args, "f16", folder)
        check_round_trip(args, "bf16", folder)


if __name__ == "__main__":
    e2e.main(main)
