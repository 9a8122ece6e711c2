"""Integer division by 0, of the lowest number by -1, and overflow, as docs/semantics.md says; no signal.

    integers.py FOLDER --raptc R --rapt-run R

Truth is Python's unbounded integers, wrapped to 32 or 64 bits; onnxruntime refuses to divide by 0.
"""

import os
import tempfile

import numpy as np

import e2e


def quotient(a, b):
    """Rounded towards 0; by 0 it is 0."""
    return 0 if b == 0 else (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1)


def modulo(a, b):
    """With the sign of b; by 0 it is 0."""
    return 0 if b == 0 else a % b


def rest(a, b):
    """With the sign of a; by 0 it is 0."""
    return 0 if b == 0 else a - b * quotient(a, b)


def wrapped(values, dtype):
    """Unbounded integers as two's complement of `dtype`."""
    bits = 8 * np.dtype(dtype).itemsize
    return np.array([(v + 2 ** (bits - 1)) % 2 ** bits - 2 ** (bits - 1) for v in values], dtype)


def operands(dtype, rng):
    """All pairs of interesting numbers, as two lists of int, with random ones behind them."""
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    numbers = [0, 1, -1, 2, -2, 7, -7, 10, low, low + 1, high, high - 1]
    pairs = [(a, b) for a in numbers for b in numbers]
    pairs += rng.integers(low, high, (203, 2), dtype, endpoint=True).tolist()
    return [a for a, _ in pairs], [b for _, b in pairs]


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("folder", help="the folder of this script")
    args = parser.parse_args()
    rng = np.random.default_rng(6)
    (a, b), (c, d) = operands(np.int64, rng), operands(np.int32, rng)
    inputs = {"a": np.array(a, np.int64), "b": np.array(b, np.int64),
              "c": np.array(c, np.int32), "d": np.array(d, np.int32)}
    want = {"quotient": map(quotient, a, b), "modulo": map(modulo, a, b), "rest": map(rest, a, b),
            "sum": (x + y for x, y in zip(a, b)), "square": (x * x for x in a), "negative": (-x for x in a),
            "by_zero": (0 for _ in a), "by_minus_one": (-x for x in a), "by_ten": (quotient(x, 10) for x in a),
            "quotient32": map(quotient, c, d), "modulo32": map(modulo, c, d), "rest32": map(rest, c, d),
            "absolute32": map(abs, c)}
    want = {name: wrapped(values, np.int32 if name.endswith("32") else np.int64) for name, values in want.items()}
    path = os.path.join(args.folder, "Inputs/integers.onnxtxt")
    with tempfile.TemporaryDirectory() as folder:
        for kernels in args.kernels.split(","):
            artifact = os.path.join(folder, f"{kernels}.so")
            e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
            got = e2e.run_model(args.rapt_run, artifact, inputs, folder)
            e2e.compare(got, want, 0, kernels)
            print(f"{kernels}: {len(a)} pairs, {len(want)} outputs")


if __name__ == "__main__":
    e2e.main(check)
