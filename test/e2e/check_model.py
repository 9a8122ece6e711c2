"""Compiles one model once, runs it at many shapes and compares with onnxruntime.

    check_model.py MODEL --raptc R --rapt-run R --shapes batch=1,seq=7 batch=3,seq=129 ...

Inputs are made by name: `attention_mask` is ones, or ends in zeros, or (with --masked-rows) is zero in
a whole row; `labels` holds classes and -100, which a loss ignores; every other integer input holds random
indices below the smallest table that it picks from.
"""

import os
import tempfile

import numpy as np
import onnx

import e2e

# As a fraction of an output's largest element (e2e.compare). Rounding in another order gives 3e-7 to 7e-6 on
# these models, the approximations of exp, erf and tanh included (docs/semantics.md). The mistakes that are
# easiest to make give more: epsilon 1e-5 in the place of 1e-12 (or the reverse) in the normalisations 2e-5 to
# 2e-4, the tanh form of GELU in the place of the one with erf 1e-4 to 1e-3, scores off by 0.1 % 6e-4, a mask
# that is not read 0.1 and up. mistakes.test makes these mistakes.
TOLERANCE = 2e-5


def index_bound(model, name):
    """The smallest number of rows of a weight that is gathered by graph input `name`; 2 if there is none."""
    rows = {t.name: t.dims[0] for t in model.graph.initializer if len(t.dims) == 2}
    bounds = [rows[node.input[0]] for node in model.graph.node
              if node.op_type == "Gather" and node.input[1] == name and node.input[0] in rows]
    return min(bounds, default=2)


def make_inputs(model, dims, rng, mask, max_id):
    """Inputs of `model` with the symbols of `dims` replaced by numbers."""
    inputs = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [dims[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if value.name == "attention_mask":
            array = np.ones(shape, dtype)
            if mask == "padded":
                lengths = rng.integers(1, shape[1] + 1, shape[0])
                array[np.arange(shape[1]) >= lengths[:, None]] = 0
            elif mask == "row":
                array[-1, :] = 0
        elif value.name == "labels":
            array = rng.integers(0, max_id + 1, shape).astype(dtype)
            array[rng.random(shape) < 0.3] = -100
            array.flat[0] = 1  # one label counts, or the mean is of nothing
        elif np.issubdtype(dtype, np.integer):
            bound = index_bound(model, value.name)
            array = rng.integers(0, min(bound, max_id + 1) if max_id else bound, shape).astype(dtype)
        else:
            array = rng.standard_normal(shape).astype(dtype)
        inputs[value.name] = array
    return inputs


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--shapes", nargs="+", default=[""], metavar="batch=1,seq=7")
    parser.add_argument("--external-data-dir", help="folder with the weights that the model names")
    parser.add_argument("--flag", action="append", default=[], help="one more flag for raptc")
    parser.add_argument("--artifacts", help="folder to leave the artifacts in, halide.so and reference.so")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--masked-rows", action="store_true", help="also mask every key of one batch row")
    parser.add_argument("--max-id", type=int, default=0, help="largest token id; found from the graph if 0")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE,
                        help="largest difference, as a fraction of the output's largest element")
    args = parser.parse_args()

    model = e2e.load(args.model)
    with tempfile.TemporaryDirectory() as folder:
        oracle = e2e.Oracle(oracle_model(args, folder))
        flags = list(args.flag)
        if args.external_data_dir:
            flags.append(f"--external-data-dir={args.external_data_dir}")
        for kernels in args.kernels.split(","):
            artifact = os.path.join(args.artifacts or folder, f"{kernels}.so")
            e2e.compile_model(args.raptc, args.model, artifact, [f"--kernels={kernels}", *flags])
            rng = np.random.default_rng(4)
            for shape in args.shapes:
                dims = {k: int(v) for k, v in (pair.split("=") for pair in shape.split(",") if pair)}
                for mask in ("ones", "padded") + (("row",) if args.masked_rows else ()):
                    inputs = make_inputs(model, dims, rng, mask, args.max_id)
                    got = e2e.run_model(args.rapt_run, artifact, inputs, folder,
                                        [f"--threads={args.threads}"])
                    what = f"{os.path.basename(args.model)} {kernels} {shape or 'static'} {mask}"
                    worst = e2e.compare(got, oracle.run(inputs), args.tolerance, what)
                    print(f"{what}: differs by {worst:.1e} of the largest element")


def oracle_model(args, folder):
    """What onnxruntime loads: bytes, or a path beside the weights (it wants both in one folder)."""
    model = e2e.load(args.model)
    if not args.external_data_dir:
        return model.SerializeToString()
    onnx.load_external_data_for_model(model, args.external_data_dir)
    return model.SerializeToString()


if __name__ == "__main__":
    e2e.main(check)
