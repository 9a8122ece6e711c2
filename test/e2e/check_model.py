"""Compiles one model once, runs it at many shapes and compares with onnxruntime.

    check_model.py MODEL --raptc R --rapt-run R --shapes batch=1,seq=7 batch=3,seq=129 ...

Inputs are made by name: `attention_mask` is ones, or ends in zeros, or (with --masked-rows) is zero in
a whole row; every other integer input holds random indices below the smallest table that it picks from.
"""

import os
import tempfile

import numpy as np
import onnx

import e2e


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
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--masked-rows", action="store_true", help="also mask every key of one batch row")
    parser.add_argument("--max-id", type=int, default=0, help="largest token id; found from the graph if 0")
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument("--atol", type=float, default=1e-4)
    args = parser.parse_args()

    model = e2e.load(args.model)
    with tempfile.TemporaryDirectory() as folder:
        oracle = e2e.Oracle(oracle_model(args, folder))
        flags = list(args.flag)
        if args.external_data_dir:
            flags.append(f"--external-data-dir={args.external_data_dir}")
        for kernels in args.kernels.split(","):
            artifact = os.path.join(folder, f"{kernels}.so")
            e2e.compile_model(args.raptc, args.model, artifact, [f"--kernels={kernels}", *flags])
            rng = np.random.default_rng(4)
            for shape in args.shapes:
                dims = {k: int(v) for k, v in (pair.split("=") for pair in shape.split(",") if pair)}
                for mask in ("ones", "padded") + (("row",) if args.masked_rows else ()):
                    inputs = make_inputs(model, dims, rng, mask, args.max_id)
                    got = e2e.run_model(args.rapt_run, artifact, inputs, folder,
                                        [f"--threads={args.threads}"])
                    what = f"{os.path.basename(args.model)} {kernels} {shape or 'static'} {mask}"
                    worst = e2e.compare(got, oracle.run(inputs), args.rtol, args.atol, what)
                    print(f"{what}: largest difference {worst:.3g}")


def oracle_model(args, folder):
    """What onnxruntime loads: bytes, or a path beside the weights (it wants both in one folder)."""
    model = e2e.load(args.model)
    if not args.external_data_dir:
        return model.SerializeToString()
    onnx.load_external_data_for_model(model, args.external_data_dir)
    return model.SerializeToString()


if __name__ == "__main__":
    e2e.main(check)
