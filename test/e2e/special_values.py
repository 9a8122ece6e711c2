"""NaN and infinities in the caller's tensors do what docs/semantics.md says, with both kinds of kernels.

    special_values.py FOLDER --raptc R --rapt-run R

Reference kernels do what ONNX says. So do Halide's, with two exceptions: outputs in LOSE_NAN may be numbers
where they should be NaN, and so may weights of a softmax other than the element at fault. In every case a
row, head or batch without such a value has the bits that it has alone.
"""

import os
import tempfile

import numpy as np
import onnx

import attention_truth
import e2e

NAN, INF = np.float32(np.nan), np.float32(np.inf)
LOSE_NAN = {"largest", "smallest"}


def agree(got, want, may_lose_nan):
    """Whether `got` is `want` up to rounding, NaN for NaN, infinity for infinity."""
    close = np.isclose(got, want, rtol=1e-5, atol=1e-6, equal_nan=True)
    return bool((close | np.isnan(want)).all() if may_lose_nan else close.all())


def rows():
    """x of Inputs/special-values.onnxtxt: [(what is special, 16 numbers)]."""
    plain = np.linspace(-2, 2, 16, dtype=np.float32)
    yield "numbers", plain
    for name, value in (("NaN", NAN), ("inf", INF), ("-inf", -INF)):
        for at in (0, 5, 15):
            row = plain.copy()
            row[at] = value
            yield f"{name} at {at}", row
        yield f"{name} everywhere", np.full(16, value)
    row = plain.copy()
    row[2], row[9] = INF, -INF
    yield "both infinities", row


def check_operators(args, folder, kernels):
    path, artifact = os.path.join(args.folder, "Inputs/special-values.onnxtxt"), os.path.join(folder, "rows.so")
    e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
    names, x = zip(*rows())
    x = np.stack(x)
    want = e2e.Oracle(e2e.load(path).SerializeToString()).run({"x": x})
    # onnxruntime's maximum skips NaN, numpy's does not; ONNX leaves it open and Rapt follows numpy.
    want["largest"], want["smallest"] = x.max(1, keepdims=True), x.min(1, keepdims=True)
    got = e2e.run_model(args.rapt_run, artifact, {"x": x}, folder)
    alone = e2e.run_model(args.rapt_run, artifact, {"x": np.where(np.isfinite(x), x, 1)}, folder)
    halide = kernels == "halide"
    for output in want:
        for row, name in enumerate(names):
            what = f"{kernels} {output}, {name}"
            g, w = got[output][row], want[output][row]
            if np.isfinite(x[row]).all() and not np.array_equal(g, alone[output][row]):
                raise e2e.Failure(f"{what}: {g}, without special values in other rows {alone[output][row]}")
            fault = np.isnan(x[row]) | (x[row] == INF)
            if halide and output == "softmax" and fault.any():
                if not np.isnan(g[fault]).all() or not (np.isnan(g) | ((g >= 0) & (g <= 1))).all():
                    raise e2e.Failure(f"{what}: {g}, expected NaN at the element at fault, else NaN or 0 to 1")
            elif not agree(g, w, halide and output in LOSE_NAN):
                raise e2e.Failure(f"{what}: {g}, expected {w}")
    print(f"{kernels}: {len(names)} rows, {len(want)} outputs")


def check_attention(args, folder, kernels):
    model = attention_truth.make_model("heads", 20)
    path, artifact = os.path.join(folder, "attention.onnx"), os.path.join(folder, "attention.so")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())
    e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
    oracle, rng = e2e.Oracle(model.SerializeToString()), np.random.default_rng(3)
    normal = lambda tokens: rng.standard_normal((3, 2, tokens, 20)).astype(np.float32)
    plain = {"q": normal(7), "k": normal(37), "v": normal(37), "mask": np.zeros((3, 1, 1, 37), np.float32)}
    alone = e2e.run_model(args.rapt_run, artifact, plain, folder)["y"]
    all_keys, most_keys = (1, 0, 0), (1, 0, 0, slice(3, None))
    cases = [("q", (1, 0, 2, 0), NAN, False), ("q", (1, 0, 2, 0), INF, False),
             ("k", (1, 0, 5, 0), NAN, True), ("k", (1, 0, 5, 0), INF, False), ("k", (1, 0, 5, 0), -INF, False),
             ("v", (1, 0, 4, 3), NAN, False), ("v", (1, 0, 4, 3), INF, False), ("v", (1, 0, 4, 3), -INF, False),
             ("mask", most_keys, -INF, False), ("mask", all_keys, -INF, False), ("mask", (1, 0, 0, 3), NAN, True)]
    for name, at, value, may_lose_nan in cases:
        inputs = {key: array.copy() for key, array in plain.items()}
        inputs[name][at] = value
        got = e2e.run_model(args.rapt_run, artifact, inputs, folder)["y"]
        want = oracle.run(inputs)["y"]
        what = f"{kernels} attention, {value} in {name}{list(at)}"
        # The mask is the same for all heads of a batch; all else belongs to head 0 of batch 1.
        others = np.ones((3, 2), bool)
        others[1, slice(None) if name == "mask" else 0] = False
        if not np.array_equal(got[others], alone[others]):
            raise e2e.Failure(f"{what}: the result of other heads changes")
        if not agree(got, want, may_lose_nan and kernels == "halide"):
            raise e2e.Failure(f"{what}: {np.isnan(got).sum()} NaN and {np.isinf(got).sum()} infinities, expected "
                              f"{np.isnan(want).sum()} and {np.isinf(want).sum()}, or numbers differ")
    print(f"{kernels}: attention, {len(cases)} cases")


def check_powers(args, folder, kernels):
    """Every pair of numbers, as numpy's float64 has it."""
    path, artifact = os.path.join(folder, "powers.onnx"), os.path.join(folder, "powers.so")
    onnx.save(e2e.onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 20]>
        powers (float[n] x, float[n] y) => (float[n] z) { z = Pow(x, y) }"""), path)
    e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
    bases = np.array([0, -0.0, 1, -1, 0.3, -0.3, 2.5, -2.5, 1e30, -1e30, INF, -INF, NAN], np.float32)
    exponents = np.array([0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 2.25, -2.25, 1e9, INF, -INF, NAN], np.float32)
    x, y = (grid.ravel() for grid in np.meshgrid(bases, exponents))
    want = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    got = e2e.run_model(args.rapt_run, artifact, {"x": x, "y": y}, folder)["z"]
    right = np.isclose(got, want, rtol=3e-5, atol=0, equal_nan=True)
    right &= np.isnan(want) | (np.signbit(got) == np.signbit(want))
    if not right.all():
        at = np.argmin(right)
        raise e2e.Failure(f"{kernels}: {x[at]} to the power of {y[at]} is {got[at]}, expected {want[at]}")
    print(f"{kernels}: {len(x)} powers")


def check_large(args, folder, kernels):
    """Activations that are x itself far from zero, for x up to the greatest float."""
    path, artifact = os.path.join(folder, "large.onnx"), os.path.join(folder, "large.so")
    onnx.save(e2e.onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 20]>
        large (float[n] x) => (float[n] mish, float[n] gelu, float[n] tanh_gelu, float[n] by_erf)
        {
            mish = Mish(x)
            gelu = Gelu(x)
            tanh_gelu = Gelu<approximate = "tanh">(x)
            erf = Erf(x)
            by_erf = Mul(x, erf)
        }"""), path)
    e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
    x = np.array([1e2, 1e10, 1e30, 1e37, 1e38, 3.3e38], np.float32)
    for output, got in e2e.run_model(args.rapt_run, artifact, {"x": x}, folder).items():
        if not np.allclose(got, x, rtol=1e-6):
            raise e2e.Failure(f"{kernels} {output}: {got}, expected {x}")
    print(f"{kernels}: {len(x)} large numbers")


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("folder", help="the folder of this script")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        for kernels in args.kernels.split(","):
            check_operators(args, folder, kernels)
            check_attention(args, folder, kernels)
            check_powers(args, folder, kernels)
            check_large(args, folder, kernels)


if __name__ == "__main__":
    e2e.main(check)
