"""The accuracy that docs/semantics.md states for elementary functions, by a sweep over all of f32.

    accuracy.py --raptc R --rapt-run R

One model, one output a function. Operands: random bit patterns (every exponent and denormals alike), dense
samples where the functions have their shape, and the ends of the range. Truth is float64.
"""

import math
import os
import tempfile

import numpy as np

import e2e

MODEL = """<ir_version: 9, opset_import: ["" : 20]>
functions (float[n] x, float[n] y) => (float[n] exp, float[n] log, float[n] sqrt, float[n] reciprocal,
    float[n] erf, float[n] tanh, float[n] sigmoid, float[n] gelu, float[n] gelu_tanh, float[n] sin, float[n] cos,
    float[n] pow, float[n] pow_whole, float[rows, 32] softmax) {
  exp = Exp(x)
  log = Log(x)
  sqrt = Sqrt(x)
  reciprocal = Reciprocal(x)
  erf = Erf(x)
  tanh = Tanh(x)
  sigmoid = Sigmoid(x)
  gelu = Gelu(x)
  gelu_tanh = Gelu<approximate = "tanh">(x)
  sin = Sin(x)
  cos = Cos(x)
  pow = Pow(x, y)
  whole = Round(y)
  pow_whole = Pow(x, whole)
  shape = Constant<value_ints = [-1, 32]>()
  matrix = Reshape(x, shape)
  softmax = Softmax<axis = -1>(matrix)
}
"""

SMALLEST = float(np.finfo(np.float32).tiny)  # the smallest normal number
LARGEST = float(np.finfo(np.float32).max)


def operands(rng, multiple):
    """(x, y) of f32, finite; the number of elements is a multiple of `multiple`."""
    bits = rng.integers(0, 2 ** 32, 1000000, dtype=np.uint32).view(np.float32)
    dense = [np.linspace(-limit, limit, 200001) for limit in (1, 10, 110, 1e5)]
    ends = [0.0, -0.0, 1e-45, -1e-45, 1e-40, -1e-40, SMALLEST, -SMALLEST, LARGEST, -LARGEST, 1, -1]
    # Around the last finite exponential, where a factor 2^n no longer exists as f32, and the first normal one.
    edges = [np.linspace(88.3, 88.8, 20001), np.linspace(-87.5, -87.2, 20001)]
    x = np.concatenate([bits[np.isfinite(bits)], *dense, *edges, ends]).astype(np.float32)
    x = x[:len(x) // multiple * multiple]
    # Exponents: up to 80 in any case, and such that the power covers every magnitude.
    y = rng.uniform(-80, 80, len(x)).astype(np.float32)
    with np.errstate(all="ignore"):
        scaled = y / np.log(np.abs(x).astype(np.float64))
    y[::2] = np.where(np.abs(scaled) < 1e4, scaled, y)[::2]
    return x, y


def expected(x, y):
    """Yields (output, truth, largest absolute error, where the promise holds), all of one shape."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    anywhere, size = np.full(x.shape, True), np.maximum(1, np.abs(x))
    erf = np.vectorize(math.erf)
    normal = np.abs(x) >= SMALLEST
    exp = np.exp(x)
    yield "exp", exp, 4.8e-7 * exp + SMALLEST, anywhere
    log = np.log(x)
    yield "log", log, 1e-6 * np.abs(log), (x > 0) & normal
    root = np.sqrt(x)
    yield "sqrt", root, 1e-7 * root, x >= 0
    yield "reciprocal", 1 / x, 1e-7 * np.abs(1 / x) + SMALLEST, normal
    yield "erf", erf(x), 1e-6, anywhere
    yield "tanh", np.tanh(x), 1e-6, anywhere
    sigmoid = 1 / (1 + np.exp(-x))
    yield "sigmoid", sigmoid, 2e-6 * sigmoid + SMALLEST, anywhere
    yield "gelu", x / 2 * (1 + erf(x / math.sqrt(2))), 1e-6 * size, anywhere
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)
    yield "gelu_tanh", x / 2 * (1 + np.tanh(inner)), 1e-6 * size, anywhere
    yield "sin", np.sin(x), 2e-6, np.abs(x) <= 1e5
    yield "cos", np.cos(x), 2e-6, np.abs(x) <= 1e5
    power = np.power(x, y)
    yield "pow", power, 3e-5 * power + SMALLEST, (x > 0) & normal
    power = np.power(x, np.round(y))
    yield "pow_whole", power, 3e-5 * np.abs(power) + SMALLEST, normal
    rows = x.reshape(-1, 32)
    weights = np.exp(rows - rows.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    yield "softmax", weights, 3e-6 * weights + 1e-37, np.full(rows.shape, True)


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    args = parser.parse_args()
    x, y = operands(np.random.default_rng(11), 32)
    failures = []
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        path = os.path.join(folder, "functions.onnxtxt")
        with open(path, "w", encoding="utf-8") as f:
            f.write(MODEL)
        for kernels in args.kernels.split(","):
            artifact = os.path.join(folder, f"{kernels}.so")
            e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
            got = e2e.run_model(args.rapt_run, artifact, {"x": x, "y": y}, folder)
            for name, truth, bound, promised in expected(x, y):
                value = got[name].astype(np.float64)
                error = np.abs(value - truth)
                # Near the end of the range the error that is allowed may round to infinity, or back from it.
                over = np.abs(truth) + bound > LARGEST
                most = np.minimum(np.abs(truth), LARGEST) * (1 - 1e-4)
                large = (np.sign(value) == np.sign(truth)) & (np.abs(value) >= most)
                close = np.where(over, large, error <= bound)
                wrong = np.flatnonzero(promised & ~close)
                share = np.where(promised & ~over, error / bound, 0)
                share[~np.isfinite(share)] = 0
                line = (f"{kernels} {name}: {np.count_nonzero(promised)} points, largest error "
                        f"{share.max():.2f} of the bound")
                print(line)
                if wrong.size:
                    at = wrong[0]
                    failures.append(f"{line}; {wrong.size} are wrong, first at x = {x[at]}, y = {y[at]}: "
                                    f"{got[name].flat[at]}, expected {truth.flat[at]}")
    if failures:
        raise e2e.Failure("\n".join(failures))


if __name__ == "__main__":
    e2e.main(check)
