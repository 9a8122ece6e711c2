"""Rapt beside its peers: benchmarks/README.md tells the method, scripts/bench installs what is needed.

    scripts/bench                                       every suite, a few minutes
    scripts/bench encoder --lengths 37 200 --threads 1 2
    scripts/bench attention --full --engines rapt onnxruntime openvino --keep

The exit code is 1 when outputs of engines differ.
"""

import argparse
import dataclasses
import datetime
import os
import re
import sys

import engines
import machine
import pictures
import report
import stats
from case import CACHE, ROOT
from race import FULL, QUICK, race
from suites import attention, encoder, gemm, load
from worker import Worker, WorkerError

SUITES = {"attention": attention, "gemm": gemm, "encoder": encoder, "load": load}
TOLERANCE = 1e-3  # largest difference relative to the largest value of the output
REFERENCE = "onnxruntime"


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", 
                        help=f"of {', '.join(SUITES)}; all when none is named")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="few points, short (default)")
    size.add_argument("--full", action="store_true", help="the whole grid, longer at each point")
    parser.add_argument("--engines", nargs="+", default=None, metavar="ENGINE",
                        help=f"of {', '.join(engines.NAMES)}; rapt:FLAG,FLAG is Rapt with flags for raptc; the "
                             "first is what the others are compared with (default: all, inductor only with --full)")
    parser.add_argument("--threads", nargs="+", type=int,
                        help="thread counts, each a table (default: 1; with --full also 2)")
    parser.add_argument("--models", nargs="+", 
                        help="encoder, load: minilm, bert-base, or the path of an ONNX encoder")
    parser.add_argument("--batches", nargs="+", type=int, help="encoder: batch sizes")
    parser.add_argument("--lengths", nargs="+", type=int, help="tokens or keys; gemm: rows")
    parser.add_argument("--sizes", nargs="+", type=int, help="attention: head sizes")
    parser.add_argument("--heads", nargs="+", type=int, help="attention: numbers of heads")
    parser.add_argument("--masks", nargs="+", choices=attention.MASKS, help="attention: kinds of mask")
    parser.add_argument("--layers", nargs="+", metavar="INPUTSxOUTPUTS[+gelu]", help="gemm: layers")
    parser.add_argument("--cold-bytes", type=int, help="gemm: weights that one run reads")
    parser.add_argument("--march", default="native", help="instruction set of the peak, as clang names it")
    parser.add_argument("--seconds", type=float, help="least time at a point")
    parser.add_argument("--rounds", type=int, help="least number of rounds at a point")
    parser.add_argument("--drift", type=float, help="how far peak or bandwidth may move within a round: 0.1 is 10 %%")
    parser.add_argument("--json", metavar="FILE", help="also write the record to this file")
    parser.add_argument("--keep", action="store_true", help="write record and pictures to benchmarks/results")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.suites if name not in SUITES]
    if unknown:
        parser.error(f"unknown suite '{unknown[0]}', expected one of {', '.join(SUITES)}")
    for name in options.engines or ():
        if name.partition(":")[0] not in engines.NAMES:
            parser.error(f"unknown engine '{name}', expected one of {', '.join(engines.NAMES)}")
    usable = len(os.sched_getaffinity(0))
    options.threads = options.threads or list(range(1, 1 + min(usable, 2 if options.full else 1)))
    if max(options.threads) > usable or min(options.threads) < 1:
        parser.error(f"--threads: expected 1 to {usable}, the cores that this process may use")
    options.suites = options.suites or list(SUITES)
    options.engines = options.engines or [n for n in engines.NAMES if options.full or n != "inductor"]
    return options


def pace_of(options):
    given = {key: getattr(options, key) for key in ("seconds", "rounds", "drift")}
    return dataclasses.replace(FULL if options.full else QUICK,
                               **{key: value for key, value in given.items() if value is not None})


class Team:
    """The engines of a run on one number of threads, each in its process; a dead one is started again."""

    def __init__(self, names, threads):
        self._cores = machine.cores(threads)
        self._workers = dict.fromkeys(names)
        self.versions = {}

    def load(self, name, case):
        """The worker of the engine with the case loaded, asleep, and its remarks. Raises WorkerError."""
        for other in self._workers.values():
            if other:
                other.sleep()
        try:
            if self._workers[name] is None:
                self._workers[name] = Worker(name, self._cores)
                self.versions.update(self._workers[name].versions)
            return self._workers[name], self._workers[name].ask("load", case)
        except WorkerError:
            self.drop(name)
            raise

    def drop(self, name):
        if self._workers[name]:
            self._workers[name].close()
        self._workers[name] = None

    def close(self):
        for name in self._workers:
            self.drop(name)


def measure(case, team, names, gauge, pace):
    """A row of the report: dims, what each engine did or why not, and the machine meanwhile."""
    results, ready, outputs = {}, {}, {}
    for name in names:
        try:
            ready[name], remarks = team.load(name, case)
            outputs[name] = ready[name].ask("outputs")
            results[name] = remarks
        except WorkerError as error:
            team.drop(name)
            ready.pop(name, None)
            results[name] = {"reason": str(error)}
    base = REFERENCE if REFERENCE in outputs else next(iter(outputs), None)
    for name in list(ready):
        results[name]["difference"] = stats.difference(outputs[name], outputs[base])
        if not results[name]["difference"] <= TOLERANCE:
            results[name]["reason"] = f"outputs differ from {base}'s by {results[name]['difference']:.1e}; not timed"
            results[name]["wrong"] = True
            del ready[name]
    row = {"suite": case.suite, "dims": case.dims, "copies": case.copies, "flops": case.flops,
           "traffic": case.traffic, "compared_with": base, "engines": results}
    if not ready:
        return row
    try:
        timed = race(ready, gauge, pace)
    except WorkerError as error:
        for name in ready:
            team.drop(name)
            results[name]["reason"] = f"the race ended: {error}"
        return row
    row["machine"] = report.gauge_summary(timed)
    for name in ready:
        if timed.gauges:
            report.add_numbers(results[name], timed, name, names[0], case, row["machine"])
        else:
            results[name]["reason"] = f"the machine moved by more than {100 * pace.drift:.0f} % in every round"
    return row


def run_suite(suite, options, names, record):
    """Prints the tables of one suite and adds its rows to the record."""
    for threads in options.threads:
        if suite == "load":
            rows = list(load.measure(options, names, threads))
            print(f"\n{suite}, {threads} thread{'s' * (threads > 1)}")
            print("\n".join(load.lines(rows)), flush=True)
            record["rows"] += rows
            continue
        team, rows = Team(names, threads), []
        with machine.Gauge(threads, options.march) as gauge:
            print(report.head(suite, threads, gauge.measure()), flush=True)
            try:
                for case in SUITES[suite].cases(options):
                    row = {**measure(case, team, names, gauge, pace_of(options)), "threads": threads}
                    rows.append(row)
                    print(report.lines(row, names), flush=True)
            finally:
                team.close()
        record["engines"].update(team.versions)
        record["rows"] += rows
        print(report.closing(rows, names), flush=True)


def main():
    options = parse(sys.argv[1:])
    about = machine.describe()
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load'][0]:.1f}, commit {about['commit'][:10]}"
          f"{' with changes' if about['modified'] else ''}")
    os.makedirs(CACHE, exist_ok=True)
    started = datetime.datetime.now(datetime.timezone.utc)
    record = {"date": started.isoformat(timespec="seconds"), "arguments": sys.argv[1:], "machine": about,
              "pace": dataclasses.asdict(pace_of(options)), "engines": {}, "not_installed": {}, "rows": []}
    names = []
    for name in options.engines:
        reason = engines.install(name)
        if reason:
            record["not_installed"][name] = reason
            print(f"{name}: not installed: {reason}")
        else:
            names.append(name)
    if not names:
        sys.exit("no engine is installed")

    slug = re.sub(r"[^a-z0-9]+", "-", " ".join([about["cpu"], *about["family_model_stepping"][:2]]).lower())
    parent = os.path.join(ROOT, "benchmarks", "results") if options.keep else os.path.join(CACHE, "runs")
    folder = os.path.join(parent, f"{started:%Y-%m-%d}-{slug.strip('-')}")
    for suite in options.suites:
        run_suite(suite, options, names, record)
        record["machine"]["load_after"] = os.getloadavg()
        rows = [row for row in record["rows"] if row["suite"] == suite]
        report.save({**record, "rows": rows}, os.path.join(folder, suite + ".json"))
        if suite != "load":
            pictures.draw(rows, names, SUITES[suite].COLUMN, os.path.join(folder, suite))
        if options.json:
            report.save(record, options.json)
    print(f"\nrecord and pictures: {os.path.relpath(folder, ROOT)}")
    wrong = any(e.get("wrong") for row in record["rows"] for e in row.get("engines", {}).values())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
