"""Medians, tails and the interval of a ratio, for times that come in rounds.

A round is a list of times taken within a second or so; times in one round resemble each other more than
times of different rounds, so the bootstrap draws whole rounds.
"""

import math
import statistics

import numpy as np

LEAST_ROUNDS = 6  # fewer have no interval
RESAMPLES = 5000  # with six rounds an interval leaves out 13 at each end
AT_ONCE = 1 << 22  # numbers in memory
SEED = 7


def summary(rounds):
    """{median, min, p99, runs} of all times in `rounds`, a list of lists of seconds."""
    times = np.concatenate([np.asarray(r, float) for r in rounds])
    return {"median": float(np.median(times)), "min": float(times.min()),
            "p99": float(np.quantile(times, 0.99)), "runs": int(times.size)}


def _tail(level, count):
    """The share of draws left out at each end of an interval of `count` rounds. The plain (1 - level) / 2 is too
    much with few rounds, whose draws vary less than rounds do: this is the normal tail beyond Student's t, widened
    as the deviation of `count` values is (Hesterberg's expanded percentile interval)."""
    normal, degrees = statistics.NormalDist(), count - 1
    z = normal.inv_cdf((1 + level) / 2)
    t = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    return normal.cdf(-t * math.sqrt(count / degrees))


def _medians(rounds, counts):
    """For each row of `counts`, which says how often each round is drawn, the median of all times drawn."""
    times = np.concatenate(rounds)
    order = np.argsort(times, kind="stable")
    times, owner = times[order], np.repeat(np.arange(len(rounds)), [len(r) for r in rounds])[order]
    medians, step = [], max(1, AT_ONCE // len(times))
    for first in range(0, len(counts), step):
        below = np.cumsum(counts[first:first + step, owner], axis=1, dtype=np.int32)
        total = below[:, -1:]
        medians.append((times[np.argmax(below > (total - 1) // 2, axis=1)]
                        + times[np.argmax(below > total // 2, axis=1)]) / 2)
    return np.concatenate(medians)


def ratio(rounds, base_rounds, level=0.95):
    """(ratio, low, high): median of `rounds` over median of `base_rounds`, with its bootstrap interval; low and
    high are None with fewer rounds than LEAST_ROUNDS.

    Both lists hold the same rounds in the same order: a draw takes a round of both, so that a slow moment of
    the machine, which both met, cancels."""
    if len(rounds) != len(base_rounds) or not rounds:
        raise ValueError(f"expected as many rounds of both, got {len(rounds)} and {len(base_rounds)}")
    above = [np.asarray(r, float) for r in rounds]
    below = [np.asarray(r, float) for r in base_rounds]
    value = float(np.median(np.concatenate(above)) / np.median(np.concatenate(below)))
    if len(above) < LEAST_ROUNDS:
        return value, None, None
    count = len(above)
    counts = np.random.default_rng(SEED).multinomial(count, [1 / count] * count, RESAMPLES).astype(np.int32)
    draws = _medians(above, counts) / _medians(below, counts)
    tail = _tail(level, len(above))
    return value, float(np.quantile(draws, tail)), float(np.quantile(draws, 1 - tail))


def geometric_mean(values):
    """Of positive numbers; NaN when there are none."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")


def difference(outputs, expected):
    """The largest difference of an output that both dicts have, relative to that output's largest value.
    Infinite when shapes differ, when a value is no number, or when no output is common."""
    common = [name for name in expected if name in outputs]
    worst = 0.0 if common else float("inf")
    for name in common:
        a, b = np.asarray(outputs[name]), np.asarray(expected[name])
        if a.shape != b.shape:
            return float("inf")
        if a.size:
            gap = np.abs(a.astype(np.float64) - b).max() / max(float(np.abs(b).max()), 1e-30)
            worst = max(worst, float(gap)) if gap == gap else float("inf")
    return worst
