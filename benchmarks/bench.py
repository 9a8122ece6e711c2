"""Rapt beside its peers: benchmarks/README.md tells the method, scripts/bench installs what is needed.

    scripts/bench                                       every suite, a few minutes
    scripts/bench encoder --lengths 37 200 --threads 1 2
    scripts/bench attention --full --engines rapt onnxruntime openvino --keep

The exit code is 1 when outputs of engines differ, 130 after Ctrl-C, which keeps what was measured.
"""

import argparse
import dataclasses
import datetime
import os
import re
import signal
import statistics
import sys

import numpy as np
from onnx import TensorProto, helper

import engines
import machine
import page
import pictures
import report
import stats
from case import CACHE, ROOT, Case, save_graph
from progress import Progress
from race import FULL, QUICK, race
from suites import attention, encoder, gemm, load
from worker import Worker, WorkerError

SUITES = {"attention": attention, "gemm": gemm, "encoder": encoder, "load": load}
TOLERANCE = 1e-3  # largest difference relative to the largest value of the output
REFERENCE = "onnxruntime"
CALLS = 300  # runs of a trivial operator that tell what a call costs


def at_least(least, number=int):
    """A type of arguments: a number of at least `least`."""
    def read(text):
        value = number(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{text}, expected at least {least}")
        return value
    read.__name__ = number.__name__  # of which argparse says that a text is none
    return read


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", 
                        help=f"of {', '.join(SUITES)}; all when none is named")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="few points, short (default)")
    size.add_argument("--full", action="store_true", help="the whole grid, longer at each point")
    parser.add_argument("--engines", nargs="+", default=None, metavar="ENGINE",
                        help=f"of {', '.join(engines.NAMES)}; rapt:FLAG,FLAG is Rapt with flags for raptc; the "
                             "first is what the others are compared with (default: those that README.md names)")
    parser.add_argument("--threads", nargs="+", type=int,
                        help="thread counts, each a table (default: 1; with --full also 2)")
    parser.add_argument("--models", nargs="+", 
                        help="encoder, load: minilm, bert-base, or the path of an ONNX encoder")
    parser.add_argument("--batches", nargs="+", type=at_least(1), help="encoder: batch sizes")
    parser.add_argument("--lengths", nargs="+", type=at_least(1), help="tokens or keys; gemm: rows")
    parser.add_argument("--sizes", nargs="+", type=at_least(1), help="attention: head sizes")
    parser.add_argument("--heads", nargs="+", type=at_least(1), help="attention: numbers of heads")
    parser.add_argument("--masks", nargs="+", choices=attention.MASKS, help="attention: kinds of mask")
    parser.add_argument("--layers", nargs="+", metavar="INPUTSxOUTPUTS[+gelu]", help="gemm: layers")
    parser.add_argument("--cold-bytes", type=at_least(1), help="gemm: weights that one run reads")
    parser.add_argument("--march", default="native", help="instruction set of the peak, as clang names it")
    parser.add_argument("--seconds", type=at_least(0, float), help="least time at a point")
    parser.add_argument("--rounds", type=at_least(1), help="least number of rounds at a point")
    parser.add_argument("--drift", type=at_least(0, float), help="how far peak or bandwidth may move within a round: 0.1 is 10 %%")
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
    options.threads = list(dict.fromkeys(options.threads))
    options.suites = options.suites or list(SUITES)
    return options


def engines_for(suite, options):
    """The engines of a suite: those asked for, or all that tell something there. torch.compile leaves
    F.scaled_dot_product_attention as it is; compilers of single shapes need minutes for whole encoders."""
    if options.engines:
        return options.engines
    left_out = {"attention": {"inductor"}, "gemm": {"rapt-unfused"}}.get(suite, {"rapt-unfused"})
    if not options.full:
        left_out |= {"inductor"} | ({"iree"} if suite in ("encoder", "load") else set())
    return [name for name in engines.NAMES if name not in left_out]


def pace_of(options):
    given = {key: getattr(options, key) for key in ("seconds", "rounds", "drift")}
    return dataclasses.replace(FULL if options.full else QUICK,
                               **{key: value for key, value in given.items() if value is not None})


class Team:
    """The engines of a run on one number of threads, each in its process; a dead one is started again.
    calls: {engine: seconds that a call of a trivial operator takes}."""

    def __init__(self, names, threads, progress):
        self._cores = machine.cores(threads)
        self._workers = dict.fromkeys(names)
        self._progress = progress
        self.versions = {}
        self.calls = {}

    def load(self, name, case):
        """The worker of the engine with the case loaded, and its remarks. Raises WorkerError."""
        for other in self._workers.values():
            if other:
                other.sleep()
        def waiting(seconds=0):
            self._progress.note(f"{name} gets ready, {seconds:.0f} s")

        waiting()
        try:
            if self._workers[name] is None:
                self._workers[name] = Worker(name, self._cores, waiting)
                self.versions.update(self._workers[name].versions)
            return self._workers[name], self._workers[name].ask("load", case, waiting=waiting)
        except WorkerError:
            self.drop(name)
            raise

    def measure_calls(self, names):
        """Fills `calls`; an engine that fails has none."""
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "call", [x], [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        case = Case("call", {}, save_graph(model), {"x": np.ones(4, np.float32)}, 4.0, 32.0, build={"kind": "call"})
        for name in names:
            try:
                self.calls[name] = statistics.median(self.load(name, case)[0].ask("time", CALLS))
            except WorkerError:
                self.drop(name)

    def drop(self, name):
        if self._workers[name]:
            self._workers[name].close()
        self._workers[name] = None

    def close(self):
        for name in self._workers:
            self.drop(name)


def measure(case, team, names, gauge, pace, progress):
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
    progress.note("the race")
    try:
        timed = race(ready, gauge, pace)
    except (WorkerError, machine.GaugeError) as error:
        for name in ready:
            team.drop(name)
            results[name]["reason"] = f"the race ended: {error}"
        return row
    row["machine"] = report.gauge_summary(timed)
    for name in ready:
        if name in timed.slow:
            results[name]["reason"] = f"a run takes {timed.slow[name]:.1f} s, too long beside the others; not raced"
            results[name]["single_run_ms"] = 1e3 * timed.slow[name] / case.copies
        elif timed.gauges:
            report.add_numbers(results[name], timed, name, names[0], case, row["machine"], team.calls)
        else:
            results[name]["reason"] = (f"every round was dropped, the limit being {100 * pace.drift:.0f} %: "
                                       f"{report.reasons(timed.dropped)}")
    return row


def race_suite(suite, options, names, threads, progress, keep):
    """Prints the table of one suite on so many threads; keep(row) gets each row, the versions of engines and the
    cost of their calls."""
    team, rows = Team(names, threads, progress), []
    progress.point(suite)
    try:
        with machine.Gauge(threads, options.march) as gauge:
            team.measure_calls(names)
            progress.say(report.head(suite, threads, gauge.measure(), team.calls))
            for make in SUITES[suite].plan(options):
                case = make()
                progress.point(f"{suite} {case.title()}")
                rows.append({**measure(case, team, names, gauge, pace_of(options), progress), "threads": threads})
                progress.done()
                progress.say(report.lines(rows[-1], names))
                keep(rows[-1], team.versions, team.calls)
    finally:
        team.close()
    progress.say(report.closing(rows, names))


def load_suite(options, names, threads, progress, keep):
    """Prints what models cost before and between runs; keep as above."""
    rows = []
    for row in load.measure(options, names, threads, progress):
        rows.append(row)
        progress.done()
        keep(row, {}, {})
    progress.say(f"\nload, {report.plural(threads, 'thread')}\n" + "\n".join(load.lines(rows)))


class Book:
    """The record of a run and the folder that it is kept in: after each point its JSON is complete, after each
    suite there are pictures and a page."""

    def __init__(self, options, about, started):
        self._options = options
        self._all = {"date": started.isoformat(timespec="seconds"), "arguments": sys.argv[1:], "machine": about,
                     "pace": dataclasses.asdict(pace_of(options)), "engines": {}, "not_installed": {}, "rows": []}
        slug = re.sub(r"[^a-z0-9]+", "-", " ".join([about["cpu"], *about["family_model_stepping"][:2]]).lower())
        parent = os.path.join(ROOT, "benchmarks", "results") if options.keep else os.path.join(CACHE, "runs")
        stem = os.path.join(parent, f"{started:%Y-%m-%d}-{slug.strip('-')}")
        self.folder, count = stem, 1
        while any(os.path.exists(os.path.join(self.folder, suite + ".json")) for suite in options.suites):
            count += 1  # an earlier run stays as it is
            self.folder = f"{stem}-{count}"

    def miss(self, name, reason):
        self._all["not_installed"][name] = reason

    def begin(self, suite, names):
        self._suite = {**self._all, "suite": suite, "names": names, "calls": {}, "complete": False, "rows": []}

    def keep(self, row, versions, calls):
        """Adds a row and writes the JSON."""
        self._all["engines"].update(versions)
        self._suite["calls"][row["threads"]] = calls
        self._suite["rows"].append(row)
        self._all["rows"].append(row)
        self._save()

    def end(self, complete):
        """Writes the suite's last JSON, pictures and the page."""
        suite = self._suite["suite"]
        self._suite["complete"] = complete
        if not self._suite["rows"]:
            return
        self._save()
        if suite != "load":
            pictures.draw(self._suite["rows"], self._suite["names"], SUITES[suite], os.path.join(self.folder, suite))
        page.write(self.folder, SUITES)

    def _save(self):
        self._all["machine"]["load_after"] = os.getloadavg()
        report.save(self._suite, os.path.join(self.folder, self._suite["suite"] + ".json"))
        if self._options.json:
            report.save(self._all, self._options.json)

    def wrong(self):
        """Whether outputs of an engine differed."""
        return any(e.get("wrong") for row in self._all["rows"] for e in row.get("engines", {}).values())


def installed(options, book):
    """{suite: its engines that are there}; prints the others with the reason. Ends without the first."""
    wanted = {suite: engines_for(suite, options) for suite in options.suites}
    reasons = {name: engines.install(name) for name in dict.fromkeys(sum(wanted.values(), []))}
    for name, reason in reasons.items():
        if reason:
            book.miss(name, reason)
            print(f"{name}: not installed: {reason}")
    for names in wanted.values():
        if reasons[names[0]]:
            sys.exit(f"{names[0]}, which the others are compared with, is not installed")
    return {suite: [name for name in names if not reasons[name]] for suite, names in wanted.items()}


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    options = parse(sys.argv[1:])
    about = machine.describe()
    print(f"{about['cpu']}, {report.plural(about['cores'], 'core')}, load {about['load'][0]:.1f}, "
          f"commit {about['commit'][:10]}{' with changes' if about['modified'] else ''}")
    os.makedirs(CACHE, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT is ignored in what shells start in the background
        signal.signal(number, interrupt)
    book = Book(options, about, datetime.datetime.now(datetime.timezone.utc))
    chosen = installed(options, book)
    points = {suite: load.count(options, names) if suite == "load" else len(SUITES[suite].plan(options))
              for suite, names in chosen.items()}
    progress = Progress(sum(points.values()) * len(options.threads))
    print(", ".join(f"{suite}: {report.plural(count * len(options.threads), 'point')}"
                    for suite, count in points.items()), file=sys.stderr)
    stopped = False
    for suite, names in chosen.items():
        book.begin(suite, names)
        try:
            for threads in options.threads:
                if suite == "load":
                    load_suite(options, names, threads, progress, book.keep)
                else:
                    race_suite(suite, options, names, threads, progress, book.keep)
        except KeyboardInterrupt:
            stopped = True
        except machine.GaugeError as error:
            book.end(complete=False)
            sys.exit(f"the machine cannot be measured: {error}")
        book.end(complete=not stopped)
        if stopped:
            break
    progress.say(("\nstopped; " if stopped else "\n") + (f"record and pictures: {os.path.relpath(book.folder, ROOT)}"
                                                         if os.path.isdir(book.folder) else "nothing was measured"))
    return 130 if stopped else int(book.wrong())


if __name__ == "__main__":
    sys.exit(main())
