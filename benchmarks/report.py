"""What a race becomes: numbers of each engine, lines of a table, the closing summary, the JSON record."""

import json
import os
import statistics

import stats


def gauge_summary(timed):
    """What the machine did during a race, for the record."""
    known = {key: statistics.median(g[key] for g in timed.gauges) for key in ("peak", "bandwidth")} \
        if timed.gauges else {}
    return {**known, "isa": timed.gauges[0]["isa"] if timed.gauges else "", "rounds": len(timed.gauges) // 2,
            "dropped_rounds": timed.dropped, "steal_percent": timed.steal, "idle_cpu_percent": timed.idle_share}


def add_numbers(result, timed, name, base, case, gauge):
    """Adds an engine's times and rates; when `base` was timed too, how many times as fast `base` is. Times are
    of one of the case's copies."""
    seconds = stats.summary(timed.times[name])
    for key in ("median", "min", "p99"):
        result[key + "_ms"] = 1e3 * seconds[key] / case.copies
    result["runs"] = seconds["runs"]
    result["gflops"] = 1e-9 * case.flops / seconds["median"]
    result["gbs"] = 1e-9 * case.traffic / seconds["median"]
    result["peak_percent"] = 100 * result["gflops"] / gauge["peak"]
    result["bandwidth_percent"] = 100 * result["gbs"] / gauge["bandwidth"]
    if name != base and base in timed.times:
        ratio, low, high = stats.ratio(timed.times[name], timed.times[base])
        result["against_base"] = {"base": base, "ratio": ratio, "low": low, "high": high}


def head(suite, threads, gauge):
    return (f"\n{suite}, {threads} thread{'s' * (threads > 1)}; FMA peak {gauge['peak']:.0f} GFLOP/s "
            f"({gauge['isa']}), reading {gauge['bandwidth']:.0f} GB/s\n"
            "                      median ms        min        p99   % peak   % read   times as long as the first "
            "[95 %]")


def lines(row, names):
    """A case's title and a line for each engine."""
    title = " ".join(f"{key} {value}" for key, value in row["dims"].items())
    about = row.get("machine")
    notes = []
    if about:
        notes = [f"{about['dropped_rounds']} of {about['rounds'] + about['dropped_rounds']} rounds dropped"] \
            * bool(about["dropped_rounds"])
        notes += [f"steal {about['steal_percent']:.1f} %"] * (about["steal_percent"] >= 0.5)
        notes += [f"idle engines used {about['idle_cpu_percent']:.0f} % of a core"] * (about["idle_cpu_percent"] >= 2)
    text = [title + (f"   ({', '.join(notes)})" if notes else "")]
    for name in names:
        result = row["engines"][name]
        if "reason" in result:
            text.append(f"  {name:18s} {result['reason']}")
            continue
        line = (f"  {name:18s} {result['median_ms']:10.3f} {result['min_ms']:10.3f} {result['p99_ms']:10.3f} "
                f"{result['peak_percent']:8.1f} {result['bandwidth_percent']:8.1f}")
        against = result.get("against_base")
        if against:
            line += f"   {against['ratio']:.2f} [{against['low']:.2f}, {against['high']:.2f}]"
        text.append(line)
    return "\n".join(text)


def closing(rows, names):
    """How the first engine did against each other one and against the best of them."""
    base, text = names[0], []
    timed = [{n: e["against_base"]["ratio"] for n, e in row["engines"].items() if "against_base" in e}
             for row in rows]

    def add(label, pairs):
        if pairs:
            ratios = [ratio for ratio, _ in pairs]
            worst = min(pairs, key=lambda pair: pair[0])
            text.append(f"  {label:18s} {stats.geometric_mean(ratios):.2f} in the geometric mean of {len(pairs)} "
                        f"points, ahead at {sum(r > 1 for r in ratios)}; least {worst[0]:.2f} at {worst[1]}")

    titles = [" ".join(f"{k} {v}" for k, v in row["dims"].items()) for row in rows]
    for name in names[1:]:
        add(name, [(ratios[name], title) for ratios, title in zip(timed, titles) if name in ratios])
    peers = [n for n in names[1:] if not n.startswith(base.partition(":")[0])]
    best = [(min(r for n, r in ratios.items() if n in peers), title)
            for ratios, title in zip(timed, titles) if any(n in peers for n in ratios)]
    if len(peers) > 1:
        add("best of them", best)
    return (f"{base} is faster by\n" + "\n".join(text)) if text else "nothing to compare with"


def save(record, path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump(record, f, indent=1, default=str)
        f.write("\n")
    os.replace(path + ".part", path)
