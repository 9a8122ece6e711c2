"""Checks benchmarks/stats.py against numbers worked out by hand, and the interval against simulation."""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../benchmarks"))
import progress  # noqa: E402
import report  # noqa: E402
import stats  # noqa: E402


def check(condition, text):
    if not condition:
        sys.exit(f"wrong: {text}")


seen = stats.summary([[3.0, 1.0], [2.0], [5.0, 4.0]])
check(seen["median"] == 3 and seen["min"] == 1 and seen["runs"] == 5, seen)
check(4.9 < seen["p99"] <= 5, seen)

# Equal rounds leave no doubt; a moment that slows both engines does not move the ratio.
check(stats.ratio([[2.0, 2.0]] * 4, [[1.0, 1.0]] * 4) == (2, 2, 2), "constant times")
slow = [1, 1, 3, 1, 3, 3, 1]
value, low, high = stats.ratio([[2.0 * s] for s in slow], [[1.0 * s] for s in slow])
check(value == 2 and low == 2 and high == 2, f"common slowness: {value} [{low}, {high}]")

# The interval of two engines that differ by 5 % holds the truth nearly always, and narrows with more rounds.
rng = np.random.default_rng(1)
held, widths = 0, {}
for count in (8, 64):
    spans = []
    for _ in range(40):
        above = [list(1.05 * rng.lognormal(0, 0.02, 10)) for _ in range(count)]
        below = [list(rng.lognormal(0, 0.02, 10)) for _ in range(count)]
        value, low, high = stats.ratio(above, below)
        check(low <= value <= high, "the ratio lies in its interval")
        held += low <= 1.05 <= high
        spans.append(high - low)
    widths[count] = np.mean(spans)
check(held >= 64, f"{held} of 80 intervals hold the true ratio")
check(widths[64] < 0.6 * widths[8], widths)

try:
    stats.ratio([[1.0]], [[1.0], [1.0]])
    check(False, "rounds that do not match are taken")
except ValueError:
    pass

check(abs(stats.geometric_mean([1.0, 4.0]) - 2) < 1e-12, "geometric mean")
a = {"y": np.array([1.0, 2.0, 4.0])}
check(stats.difference(a, a) == 0, "equal outputs")
check(abs(stats.difference({"y": a["y"] + [0, 0.4, 0]}, a) - 0.1) < 1e-12, "a difference of a tenth of the largest")
check(stats.difference({"y": a["y"][:2]}, a) == np.inf, "another shape")
check(stats.difference({"y": a["y"] * [1, np.nan, 1]}, a) == np.inf, "NaN")
check(stats.difference({"z": a["y"]}, a) == np.inf, "no common output")


def row(size, **ratios):
    """A row of a report in which engines take so many times as long as Rapt, give or take 1 %."""
    found = {name: {"against_base": {"ratio": ratio, "low": 0.99 * ratio, "high": 1.01 * ratio}}
             for name, ratio in ratios.items()}
    return {"dims": {"size": size}, "engines": {"rapt": {}, **found}}


# The best peer is another at each point, and Rapt with other flags is none.
rows = [row(1, onnxruntime=2.0, openvino=4.0, **{"rapt-unfused": 0.5}), row(2, onnxruntime=2.0, openvino=0.5),
        row(3, onnxruntime=1.005, openvino=3.0), row(4)]
found = report.standing(rows, ["rapt", "rapt-unfused", "onnxruntime", "openvino"])
best = found["best peer"]
check((best["points"], best["ahead"], best["behind"]) == (3, 1, 1), best)
check(abs(best["geometric_mean"] - (2 * 0.5 * 1.005) ** (1 / 3)) < 1e-9 and best["least_at"] == "size 2", best)
check([(p["engine"], p["point"]) for p in best["lost"]] == [("openvino", "size 2")], best["lost"])
check(found["onnxruntime"]["ahead"] == 2 and found["rapt-unfused"]["behind"] == 1, found)
check("behind openvino: 0.50" in report.closing(rows, ["rapt", "onnxruntime", "openvino"]), "a lost point is named")
check(report.closing([row(1)], ["rapt"]) == "nothing to compare with", "one engine")

check([progress.duration(s) for s in (40, 700, 11100)] == ["40 s", "12 min", "3 h 05 min"], "durations")
