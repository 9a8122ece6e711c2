"""What the end-to-end tests share: compile with raptc, run with rapt-run, ask onnxruntime.

Every script of this folder takes `--raptc` and `--rapt-run` (paths), works in a fresh temporary folder
and exits with 1 when a number is wrong or a tool fails.
"""

import argparse
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime


class Failure(Exception):
    """A tool failed or a number is wrong; the text is for the reader of the test log."""


def parser(description):
    """An argument parser with the options that all scripts have."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--raptc", required=True)
    result.add_argument("--rapt-run", required=True)
    result.add_argument("--kernels", default="halide,reference",
                        help="comma separated; each is compiled and compared")
    return result


def main(function):
    """Runs `function` and turns a Failure into a message and exit code 1."""
    try:
        function()
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)


def execute(command):
    """Runs a tool; a Failure names the command, its exit code (or signal) and its output."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"exit code {done.returncode}: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def compile_model(raptc, model, output, flags=()):
    """Compiles `model` to the shared library `output`."""
    execute([raptc, model, "-o", output, *flags])
    if not os.path.exists(output):
        raise Failure(f"{raptc} succeeded but wrote no {output}")


def run_model(rapt_run, artifact, inputs, folder, flags=()):
    """Runs `artifact` on a dict of arrays; returns a dict of arrays."""
    feed, result = os.path.join(folder, "input.npz"), os.path.join(folder, "output.npz")
    np.savez(feed, **inputs)
    if os.path.exists(result):
        os.unlink(result)
    execute([rapt_run, artifact, "--input", feed, "--output", result, *flags])
    with np.load(result) as data:
        return {name: data[name] for name in data.files}


def load(path):
    """The ModelProto of a .onnx file, weights left where they are, or of ONNX text (.onnxtxt)."""
    if path.endswith(".onnxtxt"):
        with open(path, encoding="utf-8") as f:
            return onnx.parser.parse_model(f.read())
    return onnx.load(path, load_external_data=False)


class Oracle:
    """onnxruntime without graph optimisations, on one thread."""

    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, inputs):
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, inputs)))


def compare(got, want, tolerance, what):
    """Compares two dicts of arrays; returns the largest difference as a fraction of its output's scale.

    Names, element types and shapes must be equal, integers and booleans exactly so; NaN equals NaN, an
    infinity itself. The scale is the largest finite element of the expected output: rounding errors of a
    sum are proportional to its terms, not to an element that happens to come out near 0. So
    |got - want| <= tolerance * max |want|.
    """
    if sorted(got) != sorted(want):
        raise Failure(f"{what}: outputs {sorted(got)}, expected {sorted(want)}")
    worst = 0.0
    for name, expected in want.items():
        value = got[name]
        if value.dtype != expected.dtype or value.shape != expected.shape:
            raise Failure(f"{what}: {name} is {value.dtype}{list(value.shape)}, "
                          f"expected {expected.dtype}{list(expected.shape)}")
        if not np.issubdtype(expected.dtype, np.floating):
            close, ratio = value == expected, 0.0
        else:
            v, e = value.astype(np.float64), expected.astype(np.float64)
            finite = np.isfinite(e)
            scale = float(np.abs(e[finite]).max(initial=0.0))
            close = np.where(finite, np.abs(v - np.where(finite, e, 0)) <= tolerance * scale,
                             (v == e) | (np.isnan(v) & np.isnan(e)))
            both = finite & np.isfinite(v)
            ratio = float(np.abs(v[both] - e[both]).max(initial=0.0)) / (scale or 1.0)
        worst = max(worst, ratio)
        if not close.all():
            index = tuple(int(i) for i in np.unravel_index(np.argmin(close), close.shape))
            raise Failure(f"{what}: {name}{list(index)} is {value[index]}, expected {expected[index]}; "
                          f"{np.count_nonzero(~close)} of {close.size} differ, by up to {ratio:.3g} of the "
                          "largest element")
    return worst
