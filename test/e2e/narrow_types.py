"""Attention and products with a weight in f16 and bf16, against float64 on the same rounded operands.

Inputs and outputs are f32, with a Cast to the narrow type at either end, and f16 where the type of the model is f16.
Each operator rounds once: what differs by more than half a unit in the last place of the narrow type, and a little for
sums in f32, is wrong. With Halide's kernels the report must name the recipes attention and gemm: neither may fall back
to reference kernels. The lowest number of a type as a mask's sentinel is compared with float64, and in f16 with onnxruntime.
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


LOWEST = {"f16": -65504.0, "bf16": -3.3895313892515355e38}
# name: (Where(seen, scores, lowest) or Where(seen, 0, lowest) added, keys up to the query's only, padding, and for each
# type whether the mask is a boolean one, and whether its triangle is structure)
SENTINELS = {"fill": (True, False, True, {"f16": (True, False), "bf16": (True, False)}),
             "added": (False, True, False, {"f16": (False, True), "bf16": (False, True)}),
             "added-padding": (False, True, True, {"f16": (False, False), "bf16": (True, True)})}


def sentinel_model(element, low, fill, triangle, padding):
    def value(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    def node(op, operands, result, **attributes):
        nodes.append(helper.make_node(op, operands, [result], name=result, **attributes))

    nodes = []
    for name in "qkv":
        node("Cast", [name], name + "_n", to=element)
    node("Transpose", ["k_n"], "kt", perm=[0, 1, 3, 2])
    node("MatMul", ["q_n", "kt"], "product")
    node("Mul", ["product", "scale"], "scores")
    node("Shape", ["scores"], "plane", start=2, end=4)
    node("ConstantOfShape", ["plane"], "ones", value=helper.make_tensor("yes", TensorProto.BOOL, [1], [True]))
    node("Trilu", ["ones"], "earlier", upper=0)
    node("And", ["earlier", "seen"], "both")
    mask = "both" if triangle and padding else "earlier" if triangle else "seen"
    node("Where", [mask, "scores" if fill else "zero", "low"], "choice")
    node("Identity" if fill else "Add", ["choice"] if fill else ["scores", "choice"], "masked")
    node("Softmax", ["masked"], "weights", axis=-1)
    node("MatMul", ["weights", "v_n"], "y_n")
    node("Cast", ["y_n"], "y", to=TensorProto.FLOAT)
    numbers = [helper.make_tensor(name, element, [], [number])
               for name, number in (("zero", 0.0), ("scale", 0.25), ("low", low))]
    inputs = [value("q", ["b", HEADS, "i", DIM]), value("k", ["b", HEADS, "j", DIM]),
              value("v", ["b", HEADS, "j", DIM]), value("seen", ["b", 1, 1, "j"], TensorProto.BOOL)]
    graph = helper.make_graph(nodes, "sentinel", inputs, [value("y", ["b", HEADS, "i", DIM])], numbers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def check_sentinels(args, name, folder):
    """Rows without a key are means; but where they may be and f16 is added, what they are is left to the graph."""
    element, dtype, half = NARROW[name]
    random = np.random.default_rng(9)
    shape = {"q": QUERIES, "k": KEYS, "v": KEYS}
    feed = {key: random.standard_normal((BATCH, HEADS, length, DIM)).astype(dtype).astype(np.float32)
            for key, length in shape.items()}
    feed["q"] *= 8  # scores of up to 60
    feed["seen"] = random.random((BATCH, 1, 1, KEYS)) < 0.6
    feed["seen"][0, ..., :5] = False
    feed["seen"][-1] = False
    for form, (fill, triangle, padding, structure) in SENTINELS.items():
        path, artifact = os.path.join(folder, f"{name}-{form}.onnx"), os.path.join(folder, "sentinel.so")
        model = sentinel_model(element, LOWEST[name], fill, triangle, padding)
        onnx.save(model, path)
        site, = json.loads(e2e.execute([args.raptc, path, "--report=json", "--compile-to=fuse", "-o",
                                        os.path.join(folder, "ir.mlir")]))["attention"]
        got = tuple(site["fused"] and site["detail"][key] for key in ("mask", "causal"))
        if got != structure[name]:
            raise e2e.Failure(f"{name} {form}: mask and causal are {got}, expected {structure[name]}")
        seen = np.ones((BATCH, 1, QUERIES, KEYS), bool)
        if padding:
            seen &= feed["seen"]
        if triangle:
            seen &= np.tri(QUERIES, KEYS, dtype=bool)
        q, k, v = (feed[key].astype(np.float64) for key in "qkv")
        scores = np.where(seen, q @ k.swapaxes(2, 3) / 4, -np.inf)
        scores[np.broadcast_to(~seen.any(-1, keepdims=True), scores.shape)] = 0.0
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        want = weights / weights.sum(-1, keepdims=True) @ v
        given = np.broadcast_to(seen.any(-1) | (fill or name == "bf16"), want.shape[:-1])
        for kernels in args.kernels.split(","):
            e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
            y = e2e.run_model(args.rapt_run, artifact, feed, folder)["y"]
            error = (np.abs(y - want) - half * np.abs(want))[given]
            if not (error <= 1e-5 * np.abs(want).max()).all():
                raise e2e.Failure(f"{name} {form} with {kernels} kernels: off by {error.max():.2e} more than half an ulp")
            if name == "f16":  # onnxruntime rounds the scores to f16
                other = e2e.Oracle(model.SerializeToString()).run(feed)["y"]
                e2e.compare({"y": y[given]}, {"y": other[given]}, 2e-2, f"{form} with {kernels} kernels")
    print(f"{name} sentinels: right")


def wide_scores_model(element):
    """Scores of GPT-J, in f32 of narrow queries and keys, beside a bias in f32; `late` casts the product of MPT."""
    def value(name, shape, kind=element):
        return helper.make_tensor_value_info(name, kind, shape)

    def node(op, operands, result, **attributes):
        nodes.append(helper.make_node(op, operands, [result], name=result, **attributes))

    wide, nodes = {"to": TensorProto.FLOAT}, []
    for name in "qkv":
        node("Cast", [name], name + "_n", to=element)
    node("Cast", ["q_n"], "q_w", **wide)
    node("Transpose", ["k_n"], "kt", perm=[0, 1, 3, 2])
    node("Cast", ["kt"], "kt_w", **wide)
    node("MatMul", ["q_w", "kt_w"], "early_product")
    node("MatMul", ["q_n", "kt"], "late_narrow")
    node("Cast", ["late_narrow"], "late_product", **wide)
    for form in ("early", "late"):
        node("Mul", [f"{form}_product", "scale"], f"{form}_scores")
        node("Add", [f"{form}_scores", "bias"], f"{form}_sum")
        node("Softmax", [f"{form}_sum"], f"{form}_weights", axis=-1)
        node("Cast", [f"{form}_weights"], f"{form}_rounded", to=element)
        node("MatMul", [f"{form}_rounded", "v_n"], f"{form}_n")
        node("Cast", [f"{form}_n"], form, **wide)
    inputs = [value("q", ["b", HEADS, "i", DIM], TensorProto.FLOAT), value("k", ["b", HEADS, "j", DIM], TensorProto.FLOAT),
              value("v", ["b", HEADS, "j", DIM], TensorProto.FLOAT), value("bias", [1, 1, "i", "j"], TensorProto.FLOAT)]
    outputs = [value(form, ["b", HEADS, "i", DIM], TensorProto.FLOAT) for form in ("early", "late")]
    graph = helper.make_graph(nodes, "wide_scores", inputs, outputs,
                              [helper.make_tensor("scale", TensorProto.FLOAT, [], [0.25])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def check_wide_scores(args, name, folder):
    """Attention fuses with the narrow operands, and adds the bias as it is."""
    element, dtype, half = NARROW[name]
    random = np.random.default_rng(11)
    feed = {key: random.standard_normal((BATCH, HEADS, length, DIM)).astype(dtype).astype(np.float32)
            for key, length in (("q", QUERIES), ("k", KEYS), ("v", KEYS))}
    feed["bias"] = (3 * random.standard_normal((1, 1, QUERIES, KEYS))).astype(np.float32)
    feed["bias"][..., 5:20:3] = np.finfo(np.float32).min
    path, artifact = os.path.join(folder, f"{name}-wide.onnx"), os.path.join(folder, "wide.so")
    onnx.save(wide_scores_model(element), path)
    sites = json.loads(e2e.execute([args.raptc, path, "--report=json", "--compile-to=fuse", "-o",
                                    os.path.join(folder, "ir.mlir")]))["attention"]
    if [site["fused"] for site in sites] != [True, True]:
        raise e2e.Failure(f"{name}: not all of these are fused: {sites}")
    q, k, v, bias = (feed[key].astype(np.float64) for key in ("q", "k", "v", "bias"))
    scores = q @ k.swapaxes(2, 3) / 4 + bias
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    want = weights / weights.sum(-1, keepdims=True) @ v
    for kernels in args.kernels.split(","):
        e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
        for form, y in e2e.run_model(args.rapt_run, artifact, feed, folder).items():
            error = np.abs(y - want) - half * np.abs(want)
            if not (error <= 1e-5 * np.abs(want).max()).all():
                raise e2e.Failure(f"{name} {form} with {kernels} kernels: off by {error.max():.2e} more than half an ulp")
    print(f"{name} beside scores in f32: right")


def main():
    args = e2e.parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check(args, "f16", False, folder)
        check(args, "bf16", False, folder)
        check(args, "f16", True, folder)
        check_round_trip(args, "f16", folder)
        check_round_trip(args, "bf16", folder)
        check_sentinels(args, "f16", folder)
        check_sentinels(args, "bf16", folder)
        check_wide_scores(args, "f16", folder)
        check_wide_scores(args, "bf16", folder)


if __name__ == "__main__":
    e2e.main(main)
