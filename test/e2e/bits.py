"""A result's bits depend on nothing but its own inputs.

    bits.py MODEL --raptc R --library L --python-package P --dims seq=37 ...

Runs MODEL with a batch of three sequences of different lengths, again, with 2, 3, 4 and 7 threads, and each sequence
alone; every output must have the same bytes.
"""

import argparse
import os
import sys
import tempfile

import numpy as np

import check_model
import e2e

BATCH = 3


def make_inputs(model, dims):
    """Inputs with masks that end in zeros, and the axis of each that is the batch (None: it has none)."""
    inputs = check_model.make_inputs(model, dims, np.random.default_rng(6), "padded", 100)
    axes = {}
    for value in model.graph.input:
        names = [d.dim_param for d in value.type.tensor_type.shape.dim]
        axes[value.name] = names.index("batch") if "batch" in names else None
    return inputs, axes


def check():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--raptc", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--python-package", required=True)
    parser.add_argument("--dims", nargs="+", required=True, metavar="seq=37", help="without batch")
    args = parser.parse_args()
    os.environ["RAPT_LIBRARY"] = args.library
    sys.path.insert(0, args.python_package)
    import rapt

    model = e2e.load(args.model)
    with tempfile.TemporaryDirectory() as folder:
        artifact = os.path.join(folder, "model.so")
        e2e.compile_model(args.raptc, args.model, artifact)
        sessions = {threads: rapt.InferenceSession(artifact, threads) for threads in (1, 2, 3, 4, 7)}
    for dims in args.dims:
        check_dims(model, sessions, dims)


def check_dims(model, sessions, dims):
    """Compares the runs at one binding, "seq=37", of the dims that are not the batch."""
    inputs, axes = make_inputs(model, {"batch": BATCH} | {
        name: int(number) for name, number in (pair.split("=") for pair in dims.split(","))})
    names = [output.name for output in sessions[1].get_outputs()]

    def run(threads, feed):
        return dict(zip(names, sessions[threads].run(None, feed)))

    def compare(got, want, what):
        for name in names:
            if got[name].tobytes() != want[name].tobytes():
                worst = np.abs(got[name].astype(np.float64) - want[name]).max()
                raise e2e.Failure(f"{dims}, {what}: {name} differs by up to {worst:.3g}")

    whole = run(1, inputs)
    if any(value.shape[0] != BATCH for value in whole.values()):
        raise e2e.Failure(f"outputs {[v.shape for v in whole.values()]}, expected the batch outermost")
    for threads in sessions:
        for attempt in range(3):
            compare(run(threads, inputs), whole, f"{threads} threads, run {attempt + 1}")
    for row in range(BATCH):
        alone = {name: value if axes[name] is None else value.take([row], axes[name])
                 for name, value in inputs.items()}
        compare(run(2, alone), {name: value[row:row + 1] for name, value in whole.items()},
                f"sequence {row + 1} of {BATCH} alone")
    print(f"{dims}: {len(names)} outputs, same bytes")


if __name__ == "__main__":
    e2e.main(check)
