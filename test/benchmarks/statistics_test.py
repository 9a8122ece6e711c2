"""Checks benchmarks/stats.py against numbers worked out by hand, and the interval against simulation."""

import dataclasses
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../benchmarks"))
import progress  # noqa: E402
import race  # noqa: E402
import report  # noqa: E402
import stats  # noqa: E402


def check(condition, text):
    if not condition:
        sys.exit(f"wrong: {text}")


seen = stats.summary([[3.0, 1.0], [2.0], [5.0, 4.0]])
check(seen["median"] == 3 and seen["min"] == 1 and seen["runs"] == 5, seen)
check(4.9 < seen["p99"] <= 5, seen)

# Medians of draws are those of the times themselves.
rounds = [np.array([3.0, 1.0, 9.0]), np.array([2.0]), np.array([5.0, 4.0])]
for drawn in ((1, 1, 1), (0, 3, 0), (2, 0, 1), (1, 0, 0), (0, 0, 3)):
    wanted = np.median(np.concatenate([r for r, n in zip(rounds, drawn) for _ in range(n)]))
    check(stats._medians(rounds, np.array([drawn, drawn])).tolist() == [wanted] * 2, drawn)

# Equal rounds leave no doubt; a moment that slows both engines does not move the ratio.
check(stats.ratio([[2.0, 2.0]] * 6, [[1.0, 1.0]] * 6) == (2, 2, 2), "constant times")
check(stats.ratio([[2.0, 2.0]] * 5, [[1.0, 1.0]] * 5) == (2, None, None), "an interval of too few rounds")
slow = [1, 1, 3, 1, 3, 3, 1]
value, low, high = stats.ratio([[2.0 * s] for s in slow], [[1.0 * s] for s in slow])
check(value == 2 and low == 2 and high == 2, f"common slowness: {value} [{low}, {high}]")

# The interval of two engines that differ by 5 % holds the truth in about 95 of 100 at the numbers of rounds that are
# used, whether rounds differ or only times, and narrows with more rounds.
rng = np.random.default_rng(1)


def times(count, spread):
    return rng.lognormal(0, 0.02, (count, 10)) * rng.lognormal(0, spread, (count, 1))


check(min(race.QUICK.rounds, race.FULL.rounds) == stats.LEAST_ROUNDS == 6 and race.FULL.rounds == 8, "paces")
widths = {}
for count, trials in ((6, 80), (8, 80), (64, 8)):
    held, spans = 0, []
    for trial in range(trials):
        spread = 0.03 * (trial % 2)
        value, low, high = stats.ratio(list(1.05 * times(count, spread)), list(times(count, spread)))
        check(low <= value <= high, "the ratio lies in its interval")
        held += low <= 1.05 <= high
        spans.append(high - low)
    widths[count] = np.mean(spans)
    check(count == 64 or held >= 0.92 * trials, f"{held} of {trials} intervals of {count} rounds hold the true ratio")
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

# A lost point is named whatever engine comes last, and what the only peer is behind of is said of it.
lost = [row(1, openvino=0.8, **{"rapt-unfused": 2.0}), row(2, openvino=1.5, **{"rapt-unfused": 0.9})]
for engines in (["rapt", "openvino", "rapt-unfused"], ["rapt", "rapt-unfused", "openvino"]):
    text = report.closing(lost, engines)
    check("behind openvino: 0.80" in text and "behind rapt-unfused: 0.90" in text, text)
    check("best peer" not in text, text)
check(report.closing([row(1)], ["rapt"]) == "nothing to compare with", "one engine")


# The shortest runs are compared beside the medians.
fast = row(1, ort=2.0)
fast["engines"]["rapt"]["min_ms"], fast["engines"]["ort"]["min_ms"] = 2.0, 3.0
check("1.50 by each engine's shortest runs" in report.closing([fast, row(2, ort=2.0)], ["rapt", "ort"]), "minima")


def against(ratio, **more):
    return {"base": "rapt", "ratio": ratio, "low": 0.99 * ratio, "high": 1.01 * ratio, **more}


def point(size, base=None, **results):
    return {"dims": {"size": size}, "engines": {"rapt": base or {}, **results}}


# Too few rounds decide nothing; a first engine too slow to be raced has lost; without its time a point is listed.
few = {"low": None, "high": None}
rows = [point(1, ort={"against_base": against(0.5, **few)}),
        point(2, {"reason": "a run takes 9 s"}, ort={"against_base": against(0.01, single_run=True, **few)}),
        point(3, {"reason": "outputs differ"}, ort={}), point(4, ort={"against_base": against(2.0)})]
text = report.closing(rows, ["rapt", "ort"])
check("over 3 of 4 points: 1 won, 1 lost, 1 even; least 0.01 at size 2" in text, text)
check("behind ort: 0.50 (too few rounds) at size 1" in text, text)
check("behind ort: 0.01 (one run of rapt, too slow to race) at size 2" in text, text)
check("rapt has no time, and no comparison, at 1 of 4 points\n  size 3: outputs differ" in text, text)
check("nothing to compare with\nrapt has no time" in report.closing(rows[2:3], ["rapt", "ort"]), "no comparison at all")
rows = [point(1, ort={"against_base": against(1.5, without_calls=2.0)}),
        point(2, ort={"against_base": against(1.5, without_calls=None)})]
text = report.closing(rows, ["rapt", "ort"])
check("2.00 over 1 point when" in text and "1 point left out of that" in text, text)


class Case:
    copies, flops, traffic = 1, 1e9, 1e9


def numbers(base, other, calls, slow=()):
    """What is recorded of an engine whose runs take `other` seconds beside one of `base`."""
    found = {}
    timed = race.Race({"ort": [[other] * 2] * 6, **({} if slow else {"rapt": [[base] * 2] * 6})}, [], {}, dict(slow),
                      0, 0, 0)
    report.add_numbers(found, timed, "ort", "rapt", Case, {"peak": 1, "bandwidth": 1}, calls)
    return found["against_base"]


check(abs(numbers(2e-3, 5e-3, {"rapt": 1e-3, "ort": 2e-3})["without_calls"] - 3) < 1e-9, "calls taken off")
check(numbers(2e-3, 5e-3, {"rapt": 1.1e-3, "ort": 0})["without_calls"] is None, "mostly a call of the first engine")
check(numbers(2e-3, 5e-3, {"rapt": 0, "ort": 4e-3})["without_calls"] is None, "mostly a call of the other engine")
check(report.verdict(numbers(0, 1.0, {}, {"rapt": 9.0})) == -1, "an engine too slow to be raced has lost")


class Gauge:
    """A machine whose peak moves in the second round."""

    def __init__(self):
        self.peaks = iter([100, 100] + [200] * 100)

    def measure(self):
        return {"peak": next(self.peaks), "isa": "", "bandwidth": 10}


class Worker:
    """An engine whose threads wait for their cores in turns that are in `late`."""
    threads = 1

    def __init__(self, pid, late=()):
        self.pid, self.late, self.turn, self.waited = pid, late, 0, 0.0

    def ask(self, what, count, warm=True):
        self.turn += 1
        self.waited += self.turn in self.late
        return [0.001] * count

    def sleep(self):
        pass


# A dropped round is told from others by the test that it failed, and by the engine that waited.
workers = {"rapt": Worker(1), "ort": Worker(2, late=(8,))}  # two asks before the race, two turns in a round
race.machine.waiting_seconds = lambda pid: workers[{1: "rapt", 2: "ort"}[pid]].waited
race.machine.cpu_seconds = lambda pid: 0.0
timed = race.race(workers, Gauge(), dataclasses.replace(race.QUICK, seconds=0, pause=0))
check(timed.dropped == {"the machine moved": 1, "ort waited for its cores": 1}, timed.dropped)
check(len(timed.times["ort"]) == 6, timed.times)
about = report.gauge_summary(timed)
check(report.dropped([{"machine": about}, {}]) == ["2 of 8 rounds were dropped"], about)
check(about["dropped_rounds"] == 2 and "2 of 8 rounds dropped: the machine moved (1), ort waited for its cores (1)" in
      report.notes({"machine": about}), about)

check([progress.duration(s) for s in (40, 700, 11100)] == ["40 s", "12 min", "3 h 05 min"], "durations")
