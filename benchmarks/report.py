"""What a race becomes: numbers of each engine, lines of a table, who is ahead, the JSON record."""

import json
import os
import statistics

import engines
import stats

CALL_SHARE = 5.0  # percent of an engine's time: above that, the cost of a call matters


def title(row):
    return " ".join(f"{key} {value}" for key, value in row["dims"].items())


def plural(count, word):
    return f"{count} {word}{'s' * (count != 1)}"


def reasons(dropped):
    """Why rounds were dropped, as a text; dropped: {why: rounds}."""
    return ", ".join(f"{why} ({count})" for why, count in dropped.items())


def gauge_summary(timed):
    """What the machine did during a race, for the record."""
    known = {key: statistics.median(g[key] for g in timed.gauges) for key in ("peak", "bandwidth")} \
        if timed.gauges else {}
    return {**known, "isa": timed.gauges[0]["isa"] if timed.gauges else "", "rounds": len(timed.gauges) // 2,
            "dropped_rounds": sum(timed.dropped.values()), "dropped": timed.dropped,
            "steal_percent": timed.steal, "idle_cpu_percent": timed.idle, "waited_percent": timed.waited}


def add_numbers(result, timed, name, base, case, gauge, calls):
    """Adds an engine's times and rates; when `base` was timed too, how many times as fast `base` is. Times are
    of one of the case's copies. calls: {engine: seconds that a call of a trivial operator takes}. When `base` was
    too slow to be raced, its single run is compared."""
    seconds = stats.summary(timed.times[name])
    for key in ("median", "min", "p99"):
        result[key + "_ms"] = 1e3 * seconds[key] / case.copies
    result["runs"] = seconds["runs"]
    result["gflops"] = 1e-9 * case.flops / seconds["median"]
    result["gbs"] = 1e-9 * case.traffic / seconds["median"]
    result["peak_percent"] = 100 * result["gflops"] / gauge["peak"]
    result["bandwidth_percent"] = 100 * result["gbs"] / gauge["bandwidth"]
    if name in calls:
        result["call_percent"] = 100 * calls[name] / seconds["median"]
    if base in timed.slow:
        result["against_base"] = {"base": base, "ratio": seconds["median"] / timed.slow[base], "low": None,
                                  "high": None, "single_run": True}
    if name != base and base in timed.times:
        ratio, low, high = stats.ratio(timed.times[name], timed.times[base])
        result["against_base"] = {"base": base, "ratio": ratio, "low": low, "high": high}
        if name in calls and base in calls:
            whole = seconds["median"], statistics.median(t for r in timed.times[base] for t in r)
            rest = whole[0] - calls[name], whole[1] - calls[base]
            result["against_base"]["without_calls"] = \
                rest[0] / rest[1] if all(r >= w / 2 for r, w in zip(rest, whole)) else None


def head(suite, threads, gauge, calls):
    costs = ", ".join(f"{name} {1e6 * seconds:.1f}" for name, seconds in calls.items())
    return (f"\n{suite}, {plural(threads, 'thread')}; FMA peak {gauge['peak']:.0f} GFLOP/s "
            f"({gauge['isa']}), reading {gauge['bandwidth']:.0f} GB/s\n"
            + (f"a call of a trivial operator takes, in microseconds: {costs}\n" if costs else "")
            + "                      median ms        min        p99   % peak   % read   times as long as the first "
            "[95 %]")


def interval(against):
    """What is known about how sure a ratio is, as a text."""
    if against.get("single_run"):
        return f"(one run of {against['base']}, too slow to race)"
    return "(too few rounds)" if against["low"] is None else f"[{against['low']:.2f}, {against['high']:.2f}]"


def verdict(against):
    """1: the first engine is ahead, -1: behind, 0: undecided. One too slow to be raced is so by far."""
    if against.get("single_run"):
        return 1 if against["ratio"] > 1 else -1
    if against["low"] is None:
        return 0
    return (against["low"] > 1) - (against["high"] < 1)


def notes(row):
    """What was unusual about the machine meanwhile, as texts."""
    about, texts = row.get("machine"), []
    if about and about["dropped_rounds"]:
        texts.append(f"{about['dropped_rounds']} of {about['rounds'] + about['dropped_rounds']} rounds dropped: "
                     f"{reasons(about['dropped'])}")
    for key, least, text in (("steal_percent", 0.5, "steal"), ("waited_percent", 0.5, "waiting for cores"),
                             ("idle_cpu_percent", 2, "used by idle engines")):
        if about and about[key] >= least:
            texts.append(f"{text} {about[key]:.1f} %")
    return texts


def lines(row, names):
    """A case's title and a line for each engine."""
    text = [title(row) + (f"   ({', '.join(notes(row))})" if notes(row) else "")]
    for name in names:
        result = row["engines"][name]
        if "reason" in result:
            text.append(f"  {name:18s} {result['reason']}")
            continue
        line = (f"  {name:18s} {result['median_ms']:10.3f} {result['min_ms']:10.3f} {result['p99_ms']:10.3f} "
                f"{result['peak_percent']:8.1f} {result['bandwidth_percent']:8.1f}")
        against = result.get("against_base")
        if against:
            line += f"   {against['ratio']:.2f} {interval(against)}"
        if result.get("call_percent", 0) >= CALL_SHARE:
            line += f"{'' if against else '   '}   ({result['call_percent']:.0f} % of it is the call)"
        text.append(line)
    return "\n".join(text)


def _compare(pairs):
    """pairs: [(against, title, engine)] of one opponent. Numbers of all its points, and the points behind."""
    ratios = [against["ratio"] for against, _, _ in pairs]
    worst = min(pairs, key=lambda pair: pair[0]["ratio"])
    without = [a["without_calls"] for a, _, _ in pairs if "without_calls" in a]
    known = [value for value in without if value is not None]
    minima = [a["of_minima"] for a, _, _ in pairs if "of_minima" in a]
    verdicts = [verdict(against) for against, _, _ in pairs]
    return {"points": len(pairs), "geometric_mean": stats.geometric_mean(ratios),
            "ahead": verdicts.count(1), "behind": verdicts.count(-1),
            "least": worst[0]["ratio"], "least_at": worst[1],
            "of_minima": stats.geometric_mean(minima) if minima else None,
            "without_calls": stats.geometric_mean(known) if known else None,
            "without_calls_points": len(known), "mostly_calls": len(without) - len(known),
            "lost": [{"point": text, "engine": name, **against} for against, text, name in
                     sorted(pairs, key=lambda pair: pair[0]["ratio"]) if against["ratio"] < 1]}


def _peers(names):
    """The engines that are not the first one with other flags."""
    return [name for name in names[1:] if engines.kind(name) != engines.kind(names[0])]


def _with_minima(result, base):
    """What is known of an engine against `base`, with the ratio of the shortest runs where both have one."""
    ratio = {"of_minima": result["min_ms"] / base["min_ms"]} if "min_ms" in result and "min_ms" in base else {}
    return {**result["against_base"], **ratio}


def standing(rows, names):
    """{opponent: numbers} of the first engine against each other one, and, as "best peer", against the fastest
    peer at each point; Rapt with other flags is no peer of Rapt."""
    base, found = names[0], {}
    peers = _peers(names)
    timed = [(title(row), {n: _with_minima(e, row["engines"][base]) for n, e in row["engines"].items()
                           if "against_base" in e}) for row in rows]
    for name in names[1:]:
        pairs = [(against[name], text, name) for text, against in timed if name in against]
        if pairs:
            found[name] = _compare(pairs)
    best = []
    for text, against in timed:
        fastest = min((n for n in peers if n in against), key=lambda n: against[n]["ratio"], default=None)
        if fastest:
            best.append((against[fastest], text, fastest))
    if best:
        found["best peer"] = _compare(best)
    return found


def untimed(rows, base):
    """[(point, reason)] of those where `base` has no time to compare others with."""
    return [(title(row), row["engines"][base]["reason"]) for row in rows if "reason" in row["engines"][base]
            and not any("against_base" in result for result in row["engines"].values())]


def closing(rows, names):
    """How the first engine did against each other one and against the best of them, for people."""
    found, missing = standing(rows, names), untimed(rows, names[0])
    absent = [f"{names[0]} has no time, and no comparison, at {len(missing)} of {plural(len(rows), 'point')}"] \
        if missing else []
    absent += [f"  {point}: {reason}" for point, reason in missing]
    if not found:
        return "\n".join(["nothing to compare with", *absent])
    text = [f"{names[0]} is faster by (geometric mean; won and lost are points where the interval leaves 1 out)"]
    for name, about in found.items():
        if name == "best peer" and len(_peers(names)) == 1:
            continue
        even = about["points"] - about["ahead"] - about["behind"]
        of = f"{about['points']} of " if about["points"] < len(rows) else ""
        text.append(f"  {name:18s} {about['geometric_mean']:.2f} over {of}{plural(len(rows), 'point')}: "
                    f"{about['ahead']} won, {about['behind']} lost, {even} even; least {about['least']:.2f} at "
                    f"{about['least_at']}")
    best = found.get("best peer", about)
    if best["of_minima"]:
        text.append(f"  {'':18s} {best['of_minima']:.2f} by each engine's shortest runs")
    if best["without_calls"]:
        text.append(f"  {'':18s} {best['without_calls']:.2f} over {plural(best['without_calls_points'], 'point')} when "
                    "each engine's cost of a call is taken off")
    if best["mostly_calls"]:
        text.append(f"  {'':18s} {plural(best['mostly_calls'], 'point')} left out of that: the call is more than half "
                    "of a time")
    for name, about in found.items():
        for point in about["lost"] if name != "best peer" else ():
            text.append(f"  behind {name}: {point['ratio']:.2f} {interval(point)} at {point['point']}")
    return "\n".join(text + dropped(rows) + absent)


def dropped(rows):
    """How many rounds of a suite the machine spoiled, as lines."""
    known = [row["machine"] for row in rows if "machine" in row]
    lost, kept = (sum(about.get(key, 0) for about in known) for key in ("dropped_rounds", "rounds"))
    return [f"{lost} of {lost + kept} rounds were dropped"] if lost else []


def save(record, path):
    """Writes a record as JSON: the whole file or, if that fails, what was there before."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump(record, f, indent=1, default=str)
        f.write("\n")
    os.replace(path + ".part", path)
