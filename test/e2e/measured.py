"""Sizes that depend on data: results as onnxruntime's, whether nothing, something or all is taken.

    measured.py MODEL... --raptc R --rapt-run R

Each model runs on inputs of which none, one, a third or all of the booleans hold and of the numbers are not
zero, at several sizes, with 1, 2 and 4 threads, which must give the same bits.
"""

import os
import tempfile

import numpy as np
import onnx

import e2e

TOLERANCE = 2e-5
SIZES = 1, 5, 37
TAKEN = "none", "one", "some", "all"


def choose(rng, shape, taken):
    """Which elements are taken."""
    chosen = np.full(shape, taken == "all")
    if taken == "some":
        chosen = rng.random(shape) < 0.3
    elif taken == "one":
        chosen.flat[rng.integers(chosen.size)] = True
    return chosen


def make_inputs(model, size, taken, rng):
    inputs = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [d.dim_value or size + i for i, d in enumerate(tensor.shape.dim)]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        chosen = choose(rng, shape, taken)
        if dtype == bool:
            inputs[value.name] = chosen
        elif np.issubdtype(dtype, np.integer):
            inputs[value.name] = np.where(chosen, rng.integers(1, 6, shape), 0).astype(dtype)
        else: # few different numbers, so that some rows are equal
            inputs[value.name] = np.where(chosen, rng.integers(1, 4, shape) * 0.5 - 1.25, 0).astype(dtype)
    return inputs


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in args.models:
            model = e2e.load(path)
            oracle = e2e.Oracle(model.SerializeToString())
            for kernels in args.kernels.split(","):
                artifact = os.path.join(folder, f"{kernels}.so")
                e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
                rng = np.random.default_rng(7)
                for size in SIZES:
                    for taken in TAKEN:
                        inputs = make_inputs(model, size, taken, rng)
                        what = f"{os.path.basename(path)} {kernels}, size {size}, {taken} taken"
                        runs = [e2e.run_model(args.rapt_run, artifact, inputs, folder, [f"--threads={threads}"])
                                for threads in (1, 2, 4)]
                        e2e.compare(runs[0], oracle.run(inputs), TOLERANCE, what)
                        for other in runs[1:]:
                            if any(runs[0][name].tobytes() != other[name].tobytes() for name in other):
                                raise e2e.Failure(f"{what}: other bits with other threads")
                print(f"{os.path.basename(path)} {kernels}: as onnxruntime")


if __name__ == "__main__":
    e2e.main(check)
