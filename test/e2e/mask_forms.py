"""One attention with each mask that exporters write: how --report classifies it, and its numbers beside onnxruntime,
rows in which every key is masked included.

    mask_forms.py --raptc R --rapt-run R [--filter TEXT]

The graphs are ONNX text around scores = q k^T (scaled), of 2 heads, with symbolic batch, queries and keys.
"""

import json
import os
import tempfile

import numpy as np
import onnx

import e2e

DECLARED = {
    "seen": "bool[batch, 1, 1, keys] seen",          # false: padding
    "pair": "bool[batch, 1, queries, keys] pair",    # any boolean mask
    "ones": "int64[batch, keys] ones",               # 0: padding
    "added": "float[batch, 1, queries, keys] added",  # any additive mask, -inf where excluded
    "relative": "float[batch, 2, 8, keys] relative",
}

# A score a head that belongs to no key, as a column, and the weights of the keys without it.
LEARNED = """
  learned = Constant<value = float[1, 2, 1, 1] {0.5, -1.0}>()
  lead = Shape<start = 0, end = 3>(scores)
  single = Constant<value_ints = [1]>()
  column = Concat<axis = 0>(lead, single)
  sinks = Expand(learned, column)
"""
WITHOUT_LAST = """
  begin = Constant<value_ints = [0]>()
  end = Constant<value_ints = [-1]>()
  last = Constant<value_ints = [-1]>()
  guarded = Slice(weights, begin, end, last)
"""
WITHOUT_FIRST = """
  begin = Constant<value_ints = [1]>()
  end = Constant<value_ints = [9223372036854775807]>()
  last = Constant<value_ints = [-1]>()
  guarded = Slice(weights, begin, end, last)
"""

CONSTANTS = """
  zero = Constant<value_float = 0.0>()
  one = Constant<value_float = 1.0>()
  lowest = Constant<value_float = -3.4028235e38>()
  billion = Constant<value_float = -1e9>()
  one_int = Constant<value_int = 1>()
  zero_int = Constant<value_int = 0>()
  minus_inf = Log(zero)
"""

# last <= position of the query, counted from the first key: queries are the last of the keys.
POSITIONS = """
  q_shape = Shape<start = 2, end = 3>(q)
  k_shape = Shape<start = 2, end = 3>(k)
  none = Constant<value_ints = [0]>()
  q_length = Squeeze(q_shape, none)
  k_length = Squeeze(k_shape, none)
  past = Sub(k_length, q_length)
  q_range = Range(zero_int, q_length, one_int)
  q_at = Add(q_range, past)
  k_at = Range(zero_int, k_length, one_int)
  second = Constant<value_ints = [1]>()
  q_row = Unsqueeze(q_at, second)
  causal = LessOrEqual(k_at, q_row)
"""

# Three keys up to the query's own.
WINDOW = """
  width = Constant<value_int = 3>()
  first = Sub(q_row, width)
  after = Greater(k_at, first)
  near = And(causal, after)
"""

# As OpenAI-GPT sets scores to -1e4.
BLEND = """
  ten_thousand = Constant<value_float = -1e4>()
  kept = Cast<to = 1>(causal)
  inside = Mul(scores, kept)
  rest = Sub(one, kept)
  fill = Mul(rest, ten_thousand)
  blended = Add(inside, fill)
"""

# Two keys to either side of a query, as a view of the comparison.
AROUND = """
  two = Constant<value_int = 2>()
  lead = Constant<value_ints = [0, 1]>()
  row = Unsqueeze(q_range, second)
  away = Sub(row, k_at)
  distance = Abs(away)
  plane = LessOrEqual(distance, two)
  around = Unsqueeze(plane, lead)
"""

# A triangle behind earlier keys, whose diagonal is computed.
BEHIND = """
  pair_shape = Shape<start = 2, end = 4>(scores)
  ones = ConstantOfShape<value = bool[1] {{1}}>(pair_shape)
  next = Add(past, one_int)
  triangle = Trilu<upper = {0}>(ones, {1})
"""

TRIANGLE = """
  pair_shape = Shape<start = 2, end = 4>(scores)
  filled = ConstantOfShape<value = {0}>(pair_shape)
  triangle = Trilu<upper = {1}>(filled{2})
"""

# name: (inputs, nodes from `scores` to `masked`, nodes from `weights` to `guarded`, what the report says)
FORMS = {
    "none": ([], "masked = Identity(scores)", "", dict(empty_rows="zero")),
    # Causal.
    "causal-comparison-lowest": ([], POSITIONS + "masked = Where(causal, scores, lowest)", "",
                                 dict(causal=True, empty_rows="mean")),
    "causal-not-greater": ([], POSITIONS + "later = Greater(k_at, q_row) masked = Where(later, minus_inf, scores)", "",
                           dict(causal=True, empty_rows="nan")),
    "causal-tril": ([], TRIANGLE.format("bool[1] {1}", 0, "") + "masked = Where(triangle, scores, minus_inf)", "",
                    dict(causal=True, empty_rows="nan")),
    "causal-triu-added": ([], "inf_shape = Shape<start = 2, end = 4>(scores) filled = Expand(minus_inf, inf_shape) "
                              "triangle = Trilu<upper = 1>(filled, one_int) masked = Add(scores, triangle)", "",
                          dict(causal=True, empty_rows="nan")),
    "causal-behind-upper": ([], POSITIONS + BEHIND.format(1, "next") + "masked = Where(triangle, minus_inf, scores)",
                            "", dict(causal=True, empty_rows="nan")),
    "causal-behind-lower": ([], POSITIONS + BEHIND.format(0, "past") + "masked = Where(triangle, scores, minus_inf)",
                            "", dict(causal=True, empty_rows="nan")),
    # Windows to both sides.
    "around": ([], POSITIONS + AROUND + "masked = Where(around, scores, minus_inf)", "",
               dict(window=True, empty_rows="nan")),
    "around-excluded": ([], POSITIONS + AROUND.replace("LessOrEqual", "Greater") +
                        "masked = Where(around, minus_inf, scores)", "", dict(window=True, empty_rows="nan")),
    "around-padding": (["seen"], POSITIONS + AROUND + "both = And(around, seen) mask = Where(both, zero, lowest) "
                                                      "masked = Add(scores, mask)", "",
                       dict(window=True, mask=True, empty_rows="mean")),
    # Key padding.
    "padding-infinite": (["seen"], "mask = Where(seen, zero, minus_inf) masked = Add(scores, mask)", "",
                         dict(mask=True, empty_rows="nan")),
    "padding-infinite-guarded": (["seen"], "mask = Where(seen, zero, minus_inf) masked = Add(scores, mask)",
                                 "is_nan = IsNaN(weights) guarded = Where(is_nan, zero, weights)",
                                 dict(mask=True, empty_rows="zero")),
    "padding-lowest": (["seen"], "mask = Where(seen, zero, lowest) masked = Add(scores, mask)", "",
                       dict(mask=True, empty_rows="mean")),
    "padding-fill-billion": (["seen"], "hidden = Not(seen) masked = Where(hidden, billion, scores)", "",
                             dict(mask=True, empty_rows="mean")),
    "padding-arithmetic": (["ones"], "axes = Constant<value_ints = [1, 2]>() wide = Unsqueeze(ones, axes) "
                                     "floats = Cast<to = 1>(wide) hidden = Sub(one, floats) "
                                     "mask = Mul(hidden, lowest) masked = Add(scores, mask)", "",
                           dict(mask=True, empty_rows="mean")),
    # Any mask.
    "boolean": (["pair"], "masked = Where(pair, scores, minus_inf)", "", dict(mask=True, empty_rows="nan")),
    "additive": (["added"], "masked = Add(scores, added)", "", dict(bias=True, empty_rows="nan")),
    # Compositions.
    "causal-and-padding": (["seen"], POSITIONS + "both = And(causal, seen) mask = Where(both, zero, lowest) "
                                                 "masked = Add(scores, mask)", "",
                           dict(causal=True, mask=True, empty_rows="mean")),
    "causal-and-padding-infinite": (["seen"], POSITIONS + "later = Not(causal) padding = Not(seen) "
                                                          "hidden = Or(later, padding) "
                                                          "masked = Where(hidden, minus_inf, scores)", "",
                                    dict(causal=True, mask=True, empty_rows="nan")),
    "causal-and-additive": (["added"], POSITIONS + "mask = Where(causal, zero, minus_inf) all = Add(mask, added) "
                                                   "masked = Add(scores, all)", "",
                            dict(causal=True, bias=True, empty_rows="nan")),
    "relative-and-padding": (["seen", "relative"], "bias = MatMul(q, relative) sum = Add(scores, bias) "
                                                   "hidden = Not(seen) masked = Where(hidden, lowest, sum)", "",
                             dict(bias=True, mask=True, empty_rows="mean")),
    "padding-zeroed": (["seen"], "hidden = Not(seen) masked = Where(hidden, lowest, scores)",
                       "guarded = Where(hidden, zero, weights)", dict(mask=True, empty_rows="zero")),
    "alibi-causal-padding": (["seen"], POSITIONS + "slopes = Constant<value = float[2, 1, 1] {0.25, 0.0625}>() "
                                                   "places = Cast<to = 1>(k_at) alibi = Mul(slopes, places) "
                                                   "sum = Add(scores, alibi) both = And(causal, seen) "
                                                   "mask = Where(both, zero, lowest) masked = Add(sum, mask)", "",
                             dict(bias=True, causal=True, mask=True, empty_rows="mean")),
    # Two lowest floats add up to -inf where both exclude a key: a row without a key averages over those that only
    # one of them excludes.
    "causal-fill-then-padding": (["seen"], POSITIONS + "filled = Where(causal, scores, lowest) "
                                                       "mask = Where(seen, zero, lowest) masked = Add(filled, mask)", "",
                                 dict(causal=True, mask=True, empty_rows="either_mean")),
    "causal-fill-then-causal-padding": (["seen"], POSITIONS + "filled = Where(causal, scores, lowest) "
                                                              "both = And(causal, seen) "
                                                              "mask = Where(both, zero, lowest) "
                                                              "masked = Add(filled, mask)", "",
                                        dict(causal=True, mask=True, empty_rows="causal_mean")),
    "window-fill-then-causal-padding": (["seen"], POSITIONS + WINDOW + "filled = Where(near, scores, lowest) "
                                                                       "both = And(causal, seen) "
                                                                       "mask = Where(both, zero, lowest) "
                                                                       "masked = Add(filled, mask)", "",
                                        dict(causal=True, window=True, mask=True, empty_rows="causal_mean")),
    "window-fill-then-padding": (["seen"], POSITIONS + WINDOW + "filled = Where(near, scores, lowest) "
                                                                "mask = Where(seen, zero, lowest) "
                                                                "masked = Add(filled, mask)", "",
                                 dict(causal=True, window=True, mask=True, empty_rows="either_mean")),
    "window-and-causal": ([], POSITIONS + WINDOW + "filled = Where(near, scores, lowest) "
                                                   "mask = Where(causal, zero, lowest) masked = Add(filled, mask)", "",
                          dict(causal=True, window=True, empty_rows="causal_mean")),
    # A band's sentinel that is not the lowest float below a mask of that.
    "blend": ([], POSITIONS + BLEND + "masked = Identity(blended)", "", dict(causal=True, empty_rows="mean")),
    "blend-padding": (["seen"], POSITIONS + BLEND + "mask = Where(seen, zero, lowest) masked = Add(blended, mask)", "",
                      dict(causal=True, mask=True, empty_rows="mask_mean")),
    "causal-billion-then-padding": (["seen"], POSITIONS + "filled = Where(causal, scores, billion) "
                                                          "mask = Where(seen, zero, lowest) "
                                                          "masked = Add(filled, mask)", "",
                                    dict(causal=True, mask=True, empty_rows="mask_mean")),
    "causal-billion-then-causal-padding": (["seen"], POSITIONS + "filled = Where(causal, scores, billion) "
                                                                 "both = And(causal, seen) "
                                                                 "mask = Where(both, zero, lowest) "
                                                                 "masked = Add(filled, mask)", "",
                                           dict(causal=True, mask=True, empty_rows="mean")),
    # Sinks: without a key a row is 0, whatever the mask.
    "sink": ([], LEARNED + "masked = Concat<axis = -1>(scores, sinks)", WITHOUT_LAST,
             dict(sink=True, empty_rows="zero")),
    "sink-padding-lowest-shifted": (["seen"], LEARNED + "mask = Where(seen, zero, lowest) low = Add(scores, mask) "
                                                        "all = Concat<axis = -1>(low, sinks) "
                                                        "axis = Constant<value_ints = [-1]>() "
                                                        "largest = ReduceMax<keepdims = 1>(all, axis) "
                                                        "masked = Sub(all, largest)", WITHOUT_LAST,
                                    dict(sink=True, mask=True, empty_rows="mean")),
    "sink-fill-billion": (["seen"], LEARNED + "filled = Where(seen, scores, billion) "
                                              "masked = Concat<axis = -1>(filled, sinks)", WITHOUT_LAST,
                          dict(sink=True, mask=True, empty_rows="mean")),
    "sink-first-additive": (["added"], LEARNED + "low = Add(scores, added) masked = Concat<axis = -1>(sinks, low)",
                            WITHOUT_FIRST, dict(sink=True, bias=True, empty_rows="nan")),
    "sink-of-each-query-causal": ([], POSITIONS + "low = Where(causal, scores, minus_inf) "
                                                  "axis = Constant<value_ints = [-1]>() "
                                                  "sinks = ReduceSum<keepdims = 1>(q, axis) "
                                                  "masked = Concat<axis = -1>(low, sinks)", WITHOUT_LAST,
                                  dict(sink=True, causal=True, empty_rows="nan")),
    "sink-pairs-infinite": (["pair"], LEARNED + "low = Where(pair, scores, minus_inf) "
                                                "masked = Concat<axis = -1>(low, sinks)", WITHOUT_LAST,
                            dict(sink=True, mask=True, empty_rows="nan")),
}


def model_of(inputs, body, guard):
    declared = ", ".join(["float[batch, 2, queries, 8] q", "float[batch, 2, keys, 8] k", "float[batch, 2, keys, 8] v"] +
                         [DECLARED[name] for name in inputs])
    return onnx.parser.parse_model(f"""
<ir_version: 10, opset_import: ["" : 18]>
attention ({declared}) => (float[batch, 2, queries, 8] y) {{
  {CONSTANTS}
  transposed = Transpose<perm = [0, 1, 3, 2]>(k)
  scale = Constant<value_float = 0.35>()
  product = MatMul(q, transposed)
  scores = Mul(product, scale)
  {body}
  weights = Softmax<axis = -1>(masked)
  {guard or "guarded = Identity(weights)"}
  y = MatMul(guarded, v)
}}""")


def feeds(model, batch, queries, keys, rng):
    """Random inputs; the last batch row has all of its keys masked, the first one its last key, from the left if
    there is a second one."""
    dims = {"batch": batch, "queries": queries, "keys": keys}
    result = {}
    for value in model.graph.input:
        shape = [dims.get(d.dim_param, d.dim_value) for d in value.type.tensor_type.shape.dim]
        array = rng.standard_normal(shape).astype(np.float32)
        if value.name in ("seen", "ones", "pair", "added"):
            kept = np.ones(shape, bool)
            if value.name in ("pair", "added"):
                kept = rng.random(shape) < 0.7
            kept[0, ..., -1] = keys == 1
            kept[batch // 2, ..., 0] = False
            kept[-1] = False
            array = {"seen": kept, "pair": kept, "ones": kept.astype(np.int64),
                     "added": np.where(kept, array, -np.inf).astype(np.float32)}[value.name]
        result[value.name] = array
    return result


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("--filter", default="", help="only forms whose name contains this")
    args = parser.parse_args()
    for name, (inputs, body, guard, expected) in FORMS.items():
        if args.filter not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            model, path = model_of(inputs, body, guard), os.path.join(folder, "model.onnx")
            onnx.save(model, path)
            report = json.loads(e2e.execute([args.raptc, path, "--report=json", "--compile-to=fuse", "-o",
                                             os.path.join(folder, "ir.mlir")]))
            site, = report["attention"]
            if not site["fused"]:
                raise e2e.Failure(f"{name}: not fused: {site['reason']}")
            got = {key: site["detail"][key] for key in ("bias", "mask", "causal", "window", "sink", "empty_rows")}
            want = dict(bias=False, mask=False, causal=False, window=False, sink=False) | expected
            if got != want:
                raise e2e.Failure(f"{name}: classified as {got}, expected {want}")
            oracle = e2e.Oracle(model.SerializeToString())
            for kernels in args.kernels.split(","):
                artifact = os.path.join(folder, "model.so")
                e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
                for sizes in ((1, 1, 1), (3, 5, 5), (2, 3, 37)):
                    if "tri" in name and sizes[1] != sizes[2]:
                        continue  # the triangle of a square
                    feed = feeds(model, *sizes, np.random.default_rng(sum(sizes)))
                    what = f"{name} {kernels} {sizes}"
                    worst = e2e.compare(e2e.run_model(args.rapt_run, artifact, feed, folder), oracle.run(feed), 2e-5,
                                        what)
                    print(f"{what}: differs by {worst:.1e} of the largest element")


if __name__ == "__main__":
    e2e.main(check)
