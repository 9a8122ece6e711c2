"""What an open model costs: memory, memory that two processes share, CPU time after a run.

    footprint.py ARTIFACT --library L --python-package P --ids 30522

Two processes open ARTIFACT, whose inputs are int64 [batch, seq], the first of them token ids below --ids, and run it.
From /proc: each has at most the weights, the workspace and 10 MB more than before it opened the model; the weights
that it has in memory are the same pages as the other's; and 200 ms after a run take under 20 ms of CPU time. The
artifact is at most 2 MB larger than its weights.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import e2e

MIB = 1 << 20
SHAPE = (2, 512)  # ids far enough apart that most of an embedding table is read


def fields(path, of=None):
    """Sums of the fields of /proc/PID/smaps in bytes, over all mappings or over those of the file `of`."""
    sums, counts = {}, of is None
    with open(path, encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if not words[0].endswith(":"):
                counts = of is None or line.rstrip().endswith(of)
            elif counts and words[-1] == "kB":
                sums[words[0][:-1]] = sums.get(words[0][:-1], 0) + int(words[1]) * 1024
    return sums


def child(args):
    import numpy as np
    import rapt

    before = fields("/proc/self/smaps")["Rss"]
    session = rapt.InferenceSession(args.artifact, threads=2)
    ids = (np.arange(SHAPE[0] * SHAPE[1]) * args.ids // (SHAPE[0] * SHAPE[1])).reshape(SHAPE)
    inputs = {info.name: ids if i == 0 else np.full(SHAPE, int("mask" in info.name))
              for i, info in enumerate(session.get_inputs())}
    bound = session.bind(inputs)
    bound.run()
    start = resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(0.2)
    end = resource.getrusage(resource.RUSAGE_SELF)
    grown = fields("/proc/self/smaps")["Rss"] - before
    print(json.dumps({
        "grown": grown, "weights": session.weights_bytes, "workspace": session.workspace_bytes(inputs),
        "results": sum(a.nbytes for a in bound.outputs.values()),
        "idle": end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime}), flush=True)
    sys.stdin.read()  # the parent looks at this process until it closes the pipe


def check():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact")
    parser.add_argument("--library", required=True)
    parser.add_argument("--python-package", required=True)
    parser.add_argument("--ids", type=int, required=True)
    parser.add_argument("--child", action="store_true", help="one of the two processes")
    args = parser.parse_args()
    os.environ["RAPT_LIBRARY"] = args.library
    sys.path.insert(0, args.python_package)
    if args.child:
        return child(args)

    path = os.path.realpath(args.artifact)
    command = [sys.executable, *sys.argv, "--child"]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        lines = [process.stdout.readline() for process in processes]
        if not all(lines):
            raise e2e.Failure("a child process failed")
        reports = [json.loads(line) for line in lines]
        shares = [fields(f"/proc/{process.pid}/smaps", path) for process in processes]
    finally:
        for process in processes:
            process.communicate()
    weights = reports[0]["weights"]
    checks = [("artifact", os.path.getsize(path), weights + 2 * MIB, "weights + 2 MB")]
    for report, share in zip(reports, shares):
        shared = share["Shared_Clean"] + share["Shared_Dirty"]  # dirty: the file is not on the disk yet
        print(f"MB: weights {weights / MIB:.1f}, workspace {report['workspace'] / MIB:.1f}, process grown by "
              f"{report['grown'] / MIB:.1f}, artifact in memory {share['Rss'] / MIB:.1f}, shared "
              f"{shared / MIB:.1f}; idle for 200 ms: {1000 * report['idle']:.1f} ms of CPU time")
        checks += [
            ("growth", report["grown"], weights + report["workspace"] + report["results"] + 10 * MIB,
             "weights + workspace + results + 10 MB"),
            ("resident artifact that is not shared", share["Rss"] - shared, share["Rss"] / 10,
             "a tenth of it"),
            ("least resident weights", weights // 2, share["Rss"], "what is resident"),
            ("CPU time of 200 ms", report["idle"], 0.02, "20 ms")]
    failures = [f"{what} is {value}, expected at most {limit} ({text})" for what, value, limit, text in checks
                if value > limit]
    if failures:
        raise e2e.Failure("\n".join(failures))


if __name__ == "__main__":
    e2e.main(check)
