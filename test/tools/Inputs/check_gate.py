"""Checks a JSON report of a BERT-like encoder at batch=1, seq=128 against what such an encoder must cost.

Every linear layer is one gemm and every attention one kernel; nothing falls back to plain loops. The expected
operations and bytes follow from the sizes, not from an earlier report.
"""

import argparse
import collections
import json

SEQ = 128

parser = argparse.ArgumentParser()
parser.add_argument("report")
for name in ("layers", "width", "heads", "wide"):
    parser.add_argument("--" + name, type=int, required=True)
given = parser.parse_args()
with open(given.report) as file:
    report = json.load(file)
assert report["assumed"] == {"batch": 1, "seq": SEQ}, report["assumed"]

kernels = report["kernels"]
by_recipe = collections.defaultdict(list)
for kernel in kernels:
    by_recipe[kernel["schedule"]["recipe"]].append(kernel)
    assert kernel["prediction"]["bytes"] > 0 and kernel["prediction"]["cycles"] > 0, kernel
assert set(by_recipe) <= {"gemm", "attention", "rows", "pointwise", "loops"}, sorted(by_recipe)
# A sum over tokens, as pooling is, has no better recipe; it is nothing beside the rest.
assert sum(k["prediction"]["time_share"] for k in by_recipe["loops"]) < 0.01, by_recipe["loops"]
assert abs(sum(k["prediction"]["time_share"] for k in kernels) - 1) < 1e-6
assert len(kernels) <= 14, len(kernels)
assert report["regions"] <= 7 * given.layers + 8, report["regions"]

# Per layer: QKV as one product, the projection, two layers of the feed-forward net. Operands, weight, bias and
# result move, and for the two that end a block the residual as well.
width, wide = given.width, given.wide
linears = collections.Counter()
for kernel in by_recipe["gemm"]:
    computes, prediction = kernel["computes"], kernel["prediction"]
    assert computes["kind"] == "gemm" and computes["rows"] == "dynamic", computes
    depth, columns = computes["depth"], computes["columns"]
    if prediction["flops"] < 2 * SEQ * depth * columns:
        continue  # the pooler sees one token
    linears[depth, columns] += kernel["calls"]
    assert prediction["flops"] == 2 * SEQ * depth * columns, kernel
    moved = 4 * (SEQ * depth + depth * columns + columns + SEQ * columns)
    residual = 4 * SEQ * columns if columns == width else 0
    assert moved <= prediction["bytes"] <= moved + residual, kernel
    schedule = kernel["schedule"]["parameters"]
    filled = columns / (-(-columns // schedule["tile_cols"]) * schedule["tile_cols"])
    assert schedule["tile_rows"] >= 8 and filled >= 0.65, kernel
    if width >= 384:
        assert prediction["peak_share"] >= 0.85, kernel
assert linears == {(width, 3 * width): given.layers, (width, width): given.layers,
                   (width, wide): given.layers, (wide, width): given.layers}, linears

attention, = by_recipe["attention"]
assert attention["calls"] == given.layers, attention
assert attention["prediction"]["flops"] == 4 * SEQ * SEQ * width, attention
# Q, K, V are read where the QKV product left them and the result is written once; the rest is the mask.
moved = 4 * SEQ * 4 * width
assert moved <= attention["prediction"]["bytes"] <= moved + 8 * SEQ, attention
assert attention["computes"]["heads"] == given.heads, attention

# Live at once: the QKV product and the layer's input, or the wide layer and its input and residual.
tokens = {"batch": 1, "seq": SEQ}
arena = eval(report["arena_bytes"]["expression"], {"__builtins__": {}}, tokens)
most = 4 * SEQ * max(3 * width + 3 * width, wide + 3 * width)
assert arena <= 1.1 * most + 16 * SEQ + 4096, (arena, most)
