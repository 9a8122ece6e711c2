"""A run's folder as a page: README.md with numbers, wins and losses, and pictures of all suites in it."""

import json
import os
import shlex

import report
from suites import load


def _about(record):
    """What ran where, as a list."""
    machine, pace = record["machine"], record["pace"]
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    yield f"- {record['date'][:16].replace('T', ' ')} UTC, `scripts/bench {shlex.join(record['arguments'])}`"
    yield (f"- {machine['cpu']} (family, model, stepping {', '.join(machine['family_model_stepping'])}), "
           f"{report.plural(machine['cores'], 'core')}, {caches}; Linux {machine['kernel']}; "
           f"load {machine['load'][0]:.1f} before, {machine.get('load_after', machine['load'])[0]:.1f} after")
    yield (f"- Rapt {machine['commit'][:10]}{' with changes' if machine['modified'] else ''}; "
           + ", ".join(f"{name} {text}" for name, text in record["engines"].items() if name != "raptc"))
    yield (f"- at least {pace['rounds']} rounds and {pace['seconds']:g} s at a point; rounds that drift by more than "
           f"{100 * pace['drift']:g} % are dropped")
    for name, reason in record["not_installed"].items():
        yield f"- {name}: not installed: {reason}"
    if not record["complete"]:
        yield "- **stopped before its end**: points are missing"


def _cell(result, base):
    if "reason" in result:
        return "n/a"
    text = f"{result['median_ms']:.3g}"
    against = result.get("against_base")
    if base or not against:
        return f"{text} ({result['peak_percent']:.0f} %)"
    ratio = f"{against['ratio']:.2f}"
    return f"{text} ({'**' + ratio + '**' if against['ratio'] < 1 else ratio} {report.interval(against)})"


def _table(rows, names):
    """A line for each point: milliseconds, how much of the peak the first engine reaches, ratios."""
    dims = list(rows[0]["dims"])
    yield "| " + " | ".join(dims + names) + " |"
    yield "|" + "---|" * len(dims) + "---:|" * len(names)
    for row in rows:
        cells = [str(row["dims"][dim]) for dim in dims]
        cells += [_cell(row["engines"][name], name == names[0]) for name in names]
        yield "| " + " | ".join(cells) + " |"


def _reasons(rows, names):
    """Why engines have no numbers, each reason once."""
    found = {}
    for row in rows:
        for name in names:
            if "reason" in row["engines"][name]:
                found.setdefault((name, row["engines"][name]["reason"]), []).append(report.title(row))
    for (name, reason), points in found.items():
        yield f"- {name} at {points[0]}{f' and {len(points) - 1} more' if len(points) > 1 else ''}: {reason}"


def _race(suite, record, pictures):
    names = record["names"]
    for threads in sorted({row["threads"] for row in record["rows"]}):
        rows = [row for row in record["rows"] if row["threads"] == threads]
        yield f"\n### {suite}, {report.plural(threads, 'thread')}\n"
        yield f"```\n{report.closing(rows, names)}\n```\n"
        mine = [name for name in pictures if name.removesuffix(".svg").endswith(f"-{threads}") or
                (threads == 1 and not name.removesuffix(".svg")[-1].isdigit() and "roofline" not in name)]
        yield from (f"![{name.removesuffix('.svg')}]({name})\n" for name in mine)
        yield (f"Median milliseconds; behind {names[0]}'s the share of the FMA peak, behind the others' how many times "
               f"as long they take and its 95 % interval, in bold where {names[0]} is behind.\n")
        yield from _table(rows, names)
        reasons = list(_reasons(rows, names))
        if reasons:
            yield "\nNo numbers (n/a):\n"
            yield from reasons
    yield from (f"\n![{name.removesuffix('.svg')}]({name})" for name in pictures if "roofline" in name)


def write(folder, suites):
    """Writes README.md of a folder from the JSON files of `suites` that are in it."""
    text = []
    for suite in suites:
        path = os.path.join(folder, suite + ".json")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as f:
            record = json.load(f)
        if not text:
            text = [f"# {record['machine']['cpu']}, {record['date'][:10]}"]
        text += [f"\n## {suite}\n", *_about(record)]
        if suite == "load":
            text += ["\n```", *load.lines(record["rows"]), "```"]
        elif record["rows"]:
            pictures = sorted(name for name in os.listdir(folder)
                              if name.startswith(suite + "-") and name.endswith(".svg"))
            text += _race(suite, record, pictures)
    with open(os.path.join(folder, "README.md.part"), "w", encoding="utf-8") as f:
        f.write("\n".join(text) + "\n")
    os.replace(os.path.join(folder, "README.md.part"), os.path.join(folder, "README.md"))
