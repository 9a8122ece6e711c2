"""Operators whose attributes or operands are at the ends of their ranges, against numpy; a body of Scan that
returns one value twice, which onnxruntime loses.

    extremes.py --raptc R --library build/lib/librapt.so --python-package runtime/python

Each model goes through Halide and through the reference lowering. Exit code 1 when an output differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper, parser

HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'
LEAST, GREATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def lp_pool_cases(random):
    """Powers of narrow numbers exceed their type, their root does not."""
    for p in (1, 2, 3):
        x = (random.standard_normal((1, 3, 8, 8)) * 10).astype(np.float16)
        want = (np.abs(x.astype(np.float64)) ** p).sum(axis=(2, 3), keepdims=True) ** (1 / p)
        text = f"g (float16[1,3,8,8] x) => (float16[1,3,1,1] y) {{ y = LpPool<kernel_shape=[8,8], p={p}>(x) }}"
        yield f"LpPool f16 p={p}", text, {}, {"x": x}, want.astype(np.float16)


def gemm_cases(random):
    """Factors of integers that are no integers."""
    a, b, c = (random.integers(-9, 9, shape).astype(np.int32) for shape in ((2, 4), (4, 3), (3,)))
    for alpha, beta in ((0.5, 1.0), (1.0, 2.5), (-3.0, 2.0), (0.75, 0.0)):
        text = ("g (int32[2,4] a, int32[4,3] b, int32[3] c) => (int32[2,3] y) "
                f"{{ y = Gemm<alpha={alpha:f}, beta={beta:f}>(a, b, c) }}")
        want = (a @ b) * alpha + c * beta
        yield f"Gemm alpha={alpha} beta={beta}", text, {}, {"a": a, "b": b, "c": c}, want.astype(np.int32)
    # What is outside of the type saturates.
    text = "g (int32[2,4] a, int32[4,3] b) => (int32[2,3] y) { y = Gemm<alpha=1e30>(a, b) }"
    info = np.iinfo(np.int32)
    want = np.where(a @ b > 0, info.max, np.where(a @ b < 0, info.min, 0)).astype(np.int32)
    yield "Gemm alpha=1e30", text, {}, {"a": a, "b": b}, want


def scan_cases(random):
    x, s = (random.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (4,)))
    text = """g (float[3,4] x, float[4] s) => (float[3,4] running, float[4] last) {
      last, running = Scan<num_scan_inputs = 1, body = step (float[4] sum, float[4] a) => (float[4] t, float[4] t) {
        t = Add(sum, a)
      }>(s, x)
    }"""
    yield "Scan of one value twice", text, {}, {"x": x, "s": s}, np.stack([s + x[0], s + x[0] + x[1],
                                                                           s + x[0] + x[1] + x[2]])


def trilu_cases(random):
    """Diagonals outside of the matrix, known and not."""
    x = random.standard_normal((3, 5)).astype(np.float32)
    for k in (GREATEST, GREATEST - 2, LEAST, LEAST + 1, -1, 2):
        near = int(np.clip(k, -9, 9))
        for upper in (0, 1):
            want = np.triu(x, near) if upper else np.tril(x, near)
            text = "g (float[3,n] x{}) => (float[3,n] y) {{{{ y = Trilu<upper={}>(x, k) }}}}"
            for dim in ("n", "5"):
                known = text.format("", upper).replace("n]", dim + "]").format()
                yield f"Trilu upper={upper} k={k} dim {dim}", known, {"k": np.array(k)}, {"x": x}, want
            given = text.format(", int64 k", upper).format()
            yield f"Trilu upper={upper} of an input k={k}", given, {}, {"x": x, "k": np.array(k)}, want
        text = f"g (float[3,5] x) => (float[3,5] y) {{ y = EyeLike<k={k}>(x) }}"
        yield f"EyeLike k={k}", text, {}, {"x": x}, np.eye(3, 5, near, dtype=np.float32)


def slice_cases(random):
    """Steps beyond the dim."""
    x = random.standard_normal((3, 5)).astype(np.float32)
    for step in (GREATEST, GREATEST - 1, 2**40, 5, LEAST, LEAST + 1, -2**40, -5):
        for begin in ((0, 1) if step > 0 else (-1, -2)):
            constants = {"begin": begin, "end": GREATEST if step > 0 else LEAST, "axis": 1, "step": step}
            constants = {name: np.array([number]) for name, number in constants.items()}
            for dim in ("5", "n"):
                text = (f"g (float[3,{dim}] x) => (float[3,m] y) "
                        "{ part = Slice(x, begin, end, axis, step) y = Neg(part) }")
                yield f"Slice {begin}::{step} dim {dim}", text, constants, {"x": x}, -x[:, begin::step]


def window_cases(random):
    """Attention of opset 25 whose windows are wider than the sequence."""
    q, k, v = (random.standard_normal((1, 2, 6, 4)).astype(np.float32) for _ in range(3))
    rows, columns = np.arange(6)[:, None], np.arange(6)
    for left, right in ((GREATEST, -1), (-1, GREATEST), (GREATEST, GREATEST), (2, GREATEST), (GREATEST, 1), (2, 1)):
        seen = np.ones((6, 6), bool)
        if left >= 0:
            seen &= columns >= rows - min(left, 9)
        if right >= 0:
            seen &= columns <= rows + min(right, 9)
        scores = np.where(seen, q.astype(np.float64) @ k.swapaxes(-1, -2) / 2, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        want = (weights / weights.sum(axis=-1, keepdims=True) @ v).astype(np.float32)
        text = ('<ir_version: 11, opset_import: ["" : 25]>'
                "g (float[1,2,s,4] q, float[1,2,s,4] k, float[1,2,s,4] v) => (float[1,2,s,4] y) "
                f"{{ y = Attention<left_window_size={left}, right_window_size={right}>(q, k, v) }}")
        yield f"Attention window {left} {right}", text, {}, {"q": q, "k": k, "v": v}, want


CASES = (lp_pool_cases, gemm_cases, scan_cases, trilu_cases, slice_cases, window_cases)


def check(case, raptc, flags, folder):
    """Prints what is wrong; whether something is."""
    import rapt

    name, text, constants, feeds, want = case
    model = parser.parse_model(text if text.startswith("<") else HEADER + text)
    model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in constants.items())
    source, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
    onnx.save(model, source)
    if subprocess.run([raptc, source, "-o", artifact, *flags], check=False).returncode != 0:
        print(f"REFUSED {name} {' '.join(flags)}")
        return True
    got = rapt.InferenceSession(artifact, threads=1).run(None, feeds)[0]
    # Two units in the last place of the largest number; integers are exact.
    tolerance = 2 * np.finfo(want.dtype).eps * np.abs(want).max() if want.dtype.kind == "f" else 0
    if got.dtype == want.dtype and got.shape == want.shape and np.all(np.isfinite(got)) and \
            np.all(np.abs(got - want) <= tolerance):
        return False
    print(f"WRONG {name} {' '.join(flags)}: is\n{got}\nexpected\n{want}")
    return True


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--raptc", required=True)
    options.add_argument("--library", required=True, help="librapt.so")
    options.add_argument("--python-package", required=True, help="folder that holds the package rapt")
    arguments = options.parse_args()
    os.environ["RAPT_LIBRARY"] = arguments.library
    sys.path.insert(0, arguments.python_package)
    random = np.random.default_rng(0)
    cases = [case for make in CASES for case in make(random)]
    bad = 0
    for case in cases:
        for flags in ([], ["--kernels=reference"]):
            with tempfile.TemporaryDirectory() as folder:
                bad += check(case, arguments.raptc, flags, folder)
    print(f"{len(cases)} models, {bad} wrong")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
