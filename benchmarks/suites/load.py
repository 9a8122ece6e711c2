"""Compiling, loading and memory: what a model costs before and between its runs.

For Rapt: seconds and peak memory of raptc, size of the artifact against its weights, seconds of opening it,
memory above weights and arena, memory that two processes share. For every engine: seconds until the first
result, memory that came with it, and CPU time while idle.
"""

import os
import subprocess
import sys
import tempfile
import time

import onnx

import engines
import machine
from suites import encoder
from worker import Worker, WorkerError

SEQ = 128
IDLE_SECONDS = 0.5

# Runs a command and prints its seconds, peak memory and CPU seconds. exec counts what the process had in memory
# before towards the peak, so a process that has little starts the compiler.
STARTER = """
import os, resource, sys, time
begin = time.perf_counter()
status = os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - begin, used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
sys.exit(1 if status else 0)
"""


def footprint(engine, case):
    """Loads, runs twice and rests, inside the engine's process. Memory is what smaps adds up to."""
    before = machine.memory_map("self")
    begin = time.perf_counter()
    engine.load(case)
    engine.bind(case.feeds)
    engine.run()
    first = time.perf_counter() - begin
    engine.run()
    used = time.process_time()
    time.sleep(IDLE_SECONDS)
    idle = 100 * (time.process_time() - used) / IDLE_SECONDS
    after = machine.memory_map("self")
    facts = engine.facts() if hasattr(engine, "facts") else {}
    return {**facts, "first_result_seconds": first, "resident_bytes": after["rss"] - before["rss"],
            "idle_cpu_percent": idle}


def compilation(case, flags):
    """{seconds, peak_bytes, bytes} of raptc on the case, from nothing, and the model's size."""
    from engines import rapt

    with tempfile.TemporaryDirectory() as folder:
        command = [rapt.RAPTC, case.graph, "-o", os.path.join(folder, "model.so"), *flags]
        done = subprocess.run([sys.executable, "-S", "-c", STARTER, *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise WorkerError("raptc: " + done.stderr.strip()[-300:])
        seconds, peak, cpu = map(float, done.stdout.split()[-3:])
    return {"seconds": seconds, "peak_bytes": int(peak), "cpu_seconds": cpu, "model_bytes": model_bytes(case.graph)}


def model_bytes(graph):
    """Size of an ONNX file and the external data that it names."""
    names = {e.value for t in onnx.load(graph, load_external_data=False).graph.initializer
             for e in t.external_data if e.key == "location"}
    return sum(os.path.getsize(os.path.join(os.path.dirname(graph), n)) for n in {*names, os.path.basename(graph)})


def sharing(case, name, cores):
    """Two processes with one artifact: what its mapping takes in both (Pss), were it alone, and private pages."""
    workers = [Worker(name, cores) for _ in range(2)]
    try:
        artifacts = [worker.ask("footprint", case)["artifact"] for worker in workers]
        maps = [machine.memory_map(worker.pid, path) for worker, path in zip(workers, artifacts)]
    finally:
        for worker in workers:
            worker.close()
    return {"rss": [m["rss"] for m in maps], "pss": [m["pss"] for m in maps], "private": [m["private"] for m in maps]}


def count(options, names):
    """How many rows there will be."""
    return len(list(encoder.chosen(options))) * len(names)


def measure(options, names, threads, progress):
    """A row for each model and engine; a row with "reason" could not be measured."""
    for make in encoder.chosen(options):
        case = make(1, SEQ)
        for name in names:
            row = {"suite": "load", "dims": {"model": case.dims["model"], "engine": name}, "threads": threads}
            cores, worker = machine.cores(threads), None
            progress.point(f"load {case.dims['model']} {name}")
            try:
                if engines.kind(name) == "rapt":
                    row["compile"] = compilation(case, engines.flags(name))
                worker = Worker(name, cores)
                # Compiled artifacts are there, files are in memory.
                worker.ask("load", case, waiting=lambda s: progress.note(f"gets ready, {s:.0f} s"))
                worker.close()
                worker = Worker(name, cores)
                row.update(worker.ask("footprint", case))
                worker.close()  # it would share, too
                if "artifact" in row:
                    row["sharing"] = sharing(case, name, cores)
            except WorkerError as error:
                row["reason"] = str(error)
            finally:
                if worker:
                    worker.close()
            yield row


def lines(rows):
    """The rows as a table for people."""
    mb = 1e6
    yield "model       engine        first result s   resident MB   idle CPU %"
    for row in rows:
        head = f"{row['dims']['model']:11s} {row['dims']['engine']:12s}"
        if "reason" in row:
            yield f"{head} not measured: {row['reason']}"
            continue
        yield (f"{head} {row['first_result_seconds']:16.3f} {row['resident_bytes'] / mb:13.1f} "
               f"{row['idle_cpu_percent']:12.1f}")
        if "artifact" in row:
            opened = sorted(row["open_seconds"])
            over = row["resident_bytes"] - row["weights_bytes"] - row["workspace_bytes"]
            made, shared = row["compile"], row["sharing"]
            yield (f"    opening {1e3 * opened[len(opened) // 2]:.2f} ms (median of {len(opened)}, lowest "
                   f"{1e3 * opened[0]:.2f}); resident above weights {row['weights_bytes'] / mb:.1f} MB and arena "
                   f"{row['workspace_bytes'] / mb:.1f} MB: {over / mb:+.1f} MB")
            above = row["artifact_bytes"] - row["weights_bytes"]
            yield (f"    artifact {row['artifact_bytes'] / mb:.1f} MB, {above / mb:+.2f} MB above the weights; two "
                   f"processes: {shared['rss'][0] / mb:.1f} MB of it resident in each, {sum(shared['pss']) / mb:.1f} "
                   f"MB in both together")
            yield (f"    raptc {made['seconds']:.1f} s ({made['cpu_seconds']:.1f} s of CPU), peak memory "
                   f"{made['peak_bytes'] / mb:.0f} MB = {made['peak_bytes'] / made['model_bytes']:.2f} x the model")
