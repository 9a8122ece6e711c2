"""Profiles a model with rapt-run and holds the table and the trace against the compiler's report.

Checked: the kernels and how often they are called are those of `raptc --report`; no time exceeds
the run's, and their sum does not either; in a run of some milliseconds they leave out less than 3 % of
it; the trace is JSON with one event for each call, in order and without overlap; the numbers of work
are those of a matrix product that is counted here; outputs are the same bits with and without a profile.
"""

import json
import os
import re
import tempfile

import e2e


def read_table(text):
    """The rows ({kernel: (calls, ms, share, gflops or None, schedule)}), the two closing lines, and
    the wall time in the head, all in ms."""
    head = re.search(r"profile: a run of ([0-9.]+) ms, the median of (\d+), on (\d+) thread", text)
    rows = {}
    for calls, time, share, gflops, kernel, schedule in re.findall(
            r"^ *(\d+) +([0-9.]+) +([0-9.]+) % +([0-9.]+|-) +[0-9.]+ +(?:[0-9.]+ % (?:fma|mem)|-) +"
            r"(\w+)  (.+)$", text, re.M):
        rows[kernel] = (int(calls), float(time), float(share),
                        None if gflops == "-" else float(gflops), schedule)
    total = re.search(r"^ *(\d+) +([0-9.]+) +([0-9.]+) %  all kernels$", text, re.M)
    wall = re.search(r"^ +([0-9.]+) +100.0 %  wall time of the run$", text, re.M)
    if not head or not total or not wall:
        raise e2e.Failure(f"no profile in:\n{text}")
    return rows, (int(total[1]), float(total[2])), float(wall[1]), float(head[1])


def check(condition, text):
    """Raises a Failure with `text` unless `condition` holds."""
    if not condition:
        raise e2e.Failure(text)


def check_table(text, kernels):
    """kernels: of the report, name -> (calls, recipe)."""
    rows, (calls, total), wall, head = read_table(text)
    seen = {name: (row[0], row[4].split()[0]) for name, row in rows.items()}
    check(seen == kernels, f"kernels {seen}, the report has {kernels}")
    check(calls == sum(count for count, _ in kernels.values()), f"{calls} calls in all")
    check(abs(wall - head) <= 0.001, f"wall time {wall} and {head}")
    digit = 0.0001  # what is printed of times; shares have one digit
    check(abs(sum(row[1] for row in rows.values()) - total) <= digit * (len(rows) + 1),
          "the times do not add up to the line below them")
    check(0 < total <= 1.03 * wall, f"kernels take {total} of {wall} ms")
    for name, row in rows.items():
        check(abs(row[2] - 100 * row[1] / wall) <= 0.1 + 200 * digit / wall,
              f"{name}: {row[2]} % of the run, its time is {row[1]} of {wall} ms")
    times = [row[1] for row in rows.values()]
    check(times == sorted(times, reverse=True), "the rows are not in the order of their times")
    return total / wall


def check_trace(path, kernels, wall, threads):
    """Returns the kernel events."""
    with open(path, encoding="utf-8") as f:
        events = json.load(f)["traceEvents"]
    calls = [e for e in events if e["ph"] == "X" and e["cat"] == "kernel"]
    counts = {}
    for event in calls:
        counts[event["name"]] = counts.get(event["name"], 0) + 1
    reported = {name: count for name, (count, _) in kernels.items()}
    check(counts == reported, f"the trace has {counts}, the report {reported}")
    end = 0
    for number, event in enumerate(calls):
        check(event["args"]["call"] == number, "a call is missing or twice in the trace")
        check(event["ts"] >= end - 0.002 and event["dur"] >= 0, "events overlap")
        check(event["args"]["bytes"] > 0 and event["args"]["schedule"], f"nothing said: {event}")
        end = event["ts"] + event["dur"]
    check(end <= 1000 * wall + 1, f"the trace ends after {end} us, the run after {1000 * wall}")
    loops = [e for e in events if e["ph"] == "X" and e["cat"] == "loop"]
    check(bool(loops) == (threads > 1), f"{len(loops)} loops of {threads} threads")
    for event in loops:
        check(event["name"] in kernels and 1 <= event["tid"] <= threads, f"whose loop is {event}?")
    return calls


def main():
    """Runs the checks of the command line."""
    parser = e2e.parser(__doc__)
    parser.add_argument("model")
    parser.add_argument("--dims", default="", help="of the profile's run, as name=value,...")
    parser.add_argument("--long", default="", help="dims of a run of which kernels take at least 97 %%")
    parser.add_argument("--flops", action="append", default=[],
                        help="node=number: operations of the call with this node")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        artifact = os.path.join(folder, "model.so")
        report = json.loads(e2e.execute(
            [options.raptc, options.model, "-o", artifact, "--report=json"]))
        kernels = {k["name"]: (k["calls"], k["schedule"]["recipe"]) for k in report["kernels"]}
        dims = [flag for dim in options.dims.split(",") if dim for flag in ("--dim", dim)]
        run = [options.rapt_run, artifact, "--random", "1", *dims]
        for threads in (1, 2):
            outputs = []
            for name, flags in (("plain", []), ("profiled", ["--profile", "--repeat", "5"])):
                outputs.append(os.path.join(folder, f"{name}.npz"))
                trace = os.path.join(folder, "trace.json")
                flags = [*flags, "--trace", trace] if flags else flags
                text = e2e.execute(
                    [*run, "--threads", str(threads), "--output", outputs[-1], *flags])
            check_table(text, kernels)
            calls = check_trace(trace, kernels, read_table(text)[2], threads)
            plain, profiled = (open(path, "rb").read() for path in outputs)
            check(plain == profiled, f"other outputs with a profile on {threads} threads")
            for wanted in options.flops:
                node, _, number = wanted.rpartition("=")
                flops = [e["args"]["flops"] for e in calls if e["args"]["node"].endswith(node)]
                check(flops == [float(number)], f"{node}: {flops} operations, expected {number}")
        # Whatever else the machine does, one of some runs is told whole.
        dims = [flag for dim in options.long.split(",") if dim for flag in ("--dim", dim)]
        shares = [check_table(e2e.execute([options.rapt_run, artifact, "--random", "1", *dims, "--threads", "1",
                                           "--profile"]), kernels) for _ in range(5 if dims else 0)]
        check(not shares or max(shares) >= 0.97, f"of the run's time kernels have {shares}")
        check(not [f for f in os.listdir(folder) if f.endswith(".tmp")], "a temporary file is left")
    print(f"{len(kernels)} kernels, {report['regions']} calls")


e2e.main(main)
