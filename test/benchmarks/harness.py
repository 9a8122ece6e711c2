"""Runs benchmarks/bench.py on tiny problems with Rapt and onnxruntime and checks the record that it writes.

No time is judged: a number must be there and make sense, whatever the machine does meanwhile.
"""

import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MODEL = "bert-sdpa-ts17"


def check(condition, text):
    if not condition:
        sys.exit(f"wrong: {text}")


def bench(folder, build, *arguments, code=0):
    """The record of one run of the harness with artifacts in `folder`."""
    for name in ("bin", "lib"):  # of the build under test; the cache is the test's own
        link = os.path.join(folder, name)
        if not os.path.islink(link):
            os.symlink(os.path.join(build, name), link)
    path = os.path.join(folder, "record.json")
    command = [sys.executable, os.path.join(ROOT, "benchmarks/bench.py"), *arguments, "--json", path,
               "--drift=1e9", "--rounds=6", "--seconds=0.05"]
    done = subprocess.run(command, env={**os.environ, "RAPT_BENCH_BUILD": folder}, capture_output=True, text=True)
    check(done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    with open(path, encoding="utf-8") as f:
        return json.load(f), done.stdout


def check_interrupted(folder, *arguments):
    """Ctrl-C after the first point keeps it: the record is whole and says that it ends early."""
    shutil.rmtree(os.path.join(folder, "bench", "runs"))
    command = [sys.executable, os.path.join(ROOT, "benchmarks/bench.py"), *arguments, "--drift=1e9", "--rounds=2",
               "--seconds=0.05"]
    process = subprocess.Popen(command, env={**os.environ, "RAPT_BENCH_BUILD": folder}, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    found = []
    while not found and process.poll() is None:
        time.sleep(0.02)
        found = glob.glob(os.path.join(folder, "bench", "runs", "*", "attention.json"))
    process.send_signal(signal.SIGINT)
    check(process.wait() == 130, f"exit code {process.returncode} after Ctrl-C")
    with open(found[0], encoding="utf-8") as f:
        record = json.load(f)
    check(record["complete"] is False and record["rows"], record["complete"])
    with open(os.path.join(os.path.dirname(found[0]), "README.md"), encoding="utf-8") as f:
        check("stopped before its end" in f.read(), "the page does not say that the run was stopped")


def check_without_first(folder):
    """Without the engine that the others are compared with there is no race."""
    command = [sys.executable, os.path.join(ROOT, "benchmarks/bench.py"), "gemm", "--engines", "rapt", "onnxruntime"]
    done = subprocess.run(command, env={**os.environ, "RAPT_BENCH_BUILD": os.path.join(folder, "empty")},
                          capture_output=True, text=True)
    check(done.returncode == 1 and "rapt, which the others are compared with, is not installed" in done.stderr,
          f"exit code {done.returncode}\n{done.stdout}{done.stderr}")


def check_race(rows, count, columns):
    check(len(rows) == count, f"{len(rows)} rows, expected {count}")
    for row in rows:
        check(list(row["dims"]) == columns, row["dims"])
        check(row["machine"]["peak"] > 0 and row["machine"]["bandwidth"] > 0, row["machine"])
        check(row["machine"]["rounds"] >= 6 and row["flops"] > 0 and row["traffic"] > 0, row)
        check(list(row["engines"]) == ["rapt", "onnxruntime"], row["engines"])
        for result in row["engines"].values():
            check("reason" not in result, result)
            check(0 < result["min_ms"] <= result["median_ms"] <= result["p99_ms"], result)
            check(0 <= result["difference"] <= 1e-3 and result["runs"] > 1 and result["peak_percent"] > 0, result)
        against = row["engines"]["onnxruntime"]["against_base"]
        check(against["base"] == "rapt" and 0 < against["low"] <= against["high"], against)


def main():
    parser = argparse.ArgumentParser()
    for name in ("raptc", "models", "folder"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    build = os.path.dirname(os.path.dirname(os.path.abspath(args.raptc)))
    shutil.rmtree(args.folder, ignore_errors=True)
    os.makedirs(args.folder)
    pair = ["--engines", "rapt", "onnxruntime"]

    record, text = bench(args.folder, build, "attention", *pair, "--lengths=9", "--heads=2", "--sizes=8",
                         "--masks", "padding", "causal")
    check_race(record["rows"], 3, ["heads", "size", "mask", "queries", "keys"])
    check([r["dims"]["mask"] for r in record["rows"]] == ["padding", "causal", "none"], record["rows"])
    check("rapt is faster by" in text, text)
    (path,) = glob.glob(os.path.join(args.folder, "bench", "runs", "*", "attention.json"))
    with open(path, encoding="utf-8") as f:
        suite = json.load(f)
    check(suite["complete"] and suite["rows"] == record["rows"], suite["complete"])
    check(all(suite["calls"]["1"][name] > 0 for name in ("rapt", "onnxruntime")), suite["calls"])
    with open(os.path.join(os.path.dirname(path), "README.md"), encoding="utf-8") as f:
        page = f.read()
    check("| 2 | 8 | causal | 9 | 9 |" in page and "attention, 1 thread" in page, page)
    for key in ("cpu", "vector_flags", "kernel", "compiler", "commit"):
        check(record["machine"][key], f"no {key} in {record['machine']}")
    check({"raptc", "onnxruntime"} <= set(record["engines"]) and record["date"], record["engines"])

    record, _ = bench(args.folder, build, "gemm", *pair, "--lengths=3", "--layers", "32x48+gelu",
                      "--cold-bytes=20000")
    check_race(record["rows"], 1, ["layer", "rows"])
    check(record["rows"][0]["copies"] == 4, record["rows"][0])

    model = os.path.join(args.models, MODEL + ".onnx")
    record, _ = bench(args.folder, build, "encoder", "load", *pair, "--lengths=5", "--models", model)
    check_race([r for r in record["rows"] if r["suite"] == "encoder"], 1, ["model", "batch", "seq"])
    rapt, other = (r for r in record["rows"] if r["suite"] == "load")
    check(rapt["artifact_bytes"] > rapt["weights_bytes"] > 0 and rapt["workspace_bytes"] > 0, rapt)
    check(all(s > 0 for s in rapt["open_seconds"]) and rapt["compile"]["peak_bytes"] > 1e6, rapt)
    check(sum(rapt["sharing"]["pss"]) < sum(rapt["sharing"]["rss"]), f"nothing is shared: {rapt['sharing']}")
    check(other["first_result_seconds"] > 0 and "reason" not in other, other)

    # An engine that cannot do it says so, and the others go on; one that is not there has no numbers.
    record, text = bench(args.folder, build, "encoder", "--engines", "rapt", "rapt:--no-such-flag", "--lengths=5",
                         "--models", model)
    (row,) = record["rows"]
    check("no-such-flag" in row["engines"]["rapt:--no-such-flag"]["reason"], row["engines"])
    check("median_ms" in row["engines"]["rapt"] and "no-such-flag" in text, text)
    check_without_first(args.folder)
    check_interrupted(args.folder, "attention", *pair, "--lengths", *map(str, range(2, 40)), "--heads=2", "--sizes=8")


main()
