"""Checks the Python package `rapt` and that numpy and rapt-run read each other's files.

usage: python_binding.py MODEL.so RAPT_RUN, where the model is TestModel.c.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np

import rapt

model, rapt_run = sys.argv[1:]
table = np.array([0, 1, 2, 3, 4, 5, 6, -7], np.float32)


def reference(x, ids):
    scaled = x * table[ids][..., None]
    return scaled, scaled.sum((1, 2))


def make_inputs(batch, seq):
    rng = np.random.default_rng(batch * 1000 + seq)
    x = rng.integers(-9, 9, (batch, seq, 4)).astype(np.float32)
    return {"x": x, "ids": rng.integers(0, 8, (batch, seq))}


session = rapt.InferenceSession(model, threads=2)
assert [i.name for i in session.get_inputs()] == ["x", "ids"]
assert session.get_inputs()[0].shape == ["batch", "seq", 4]
assert session.get_outputs()[1].type == "tensor(float)"
for batch, seq in [(1, 1), (3, 7), (5, 129)]:
    inputs = make_inputs(batch, seq)
    scaled, total = session.run(None, inputs)
    np.testing.assert_array_equal(scaled, reference(**inputs)[0])
    np.testing.assert_array_equal(total, reference(**inputs)[1])
    (total,) = session.run(["total"], inputs)
    np.testing.assert_array_equal(total, reference(**inputs)[1])
    # Not contiguous: the binding copies.
    flipped = {k: np.asfortranarray(v) for k, v in inputs.items()}
    np.testing.assert_array_equal(session.run(None, flipped)[0], scaled)
    swapped = {name: a.astype(a.dtype.newbyteorder()) for name, a in inputs.items()}
    np.testing.assert_array_equal(session.run(None, swapped)[0], scaled)

# Bound: runs read the caller's arrays anew and write the same outputs.
inputs = make_inputs(3, 7)
bound = session.bind(inputs)
outputs = dict(bound.outputs)
for step in range(3):
    inputs["x"] += step
    bound.run()
    assert all(bound.outputs[name] is array for name, array in outputs.items())
    np.testing.assert_array_equal(outputs["scaled"], reference(**inputs)[0])
    np.testing.assert_array_equal(outputs["total"], reference(**inputs)[1])
assert session.workspace_bytes(inputs) > 0 and session.weights_bytes >= table.nbytes


def fails(status, text, call):
    try:
        call()
    except rapt.RaptError as error:
        assert error.status == status and text in str(error), error
    else:
        raise AssertionError(f"expected {status}")


empty = rapt.InferenceSession(os.path.join(os.path.dirname(model), "empty.so"))
scaled, total = empty.run(None, make_inputs(2, 0))
assert scaled.shape == (2, 0, 4) and (total == 0).all()

good = make_inputs(2, 3)
fails("RAPT_ERROR_NAME", "'ids' is missing", lambda: session.run(None, {"x": good["x"]}))
fails("RAPT_ERROR_NAME", "'nope'", lambda: session.run(["nope"], good))
fails("RAPT_ERROR_NAME", "'ids' is missing", lambda: session.bind({"x": good["x"]}))
fails("RAPT_ERROR_DTYPE", "f64", lambda: session.run(None, {**good, "x": good["x"].astype("f8")}))
fails("RAPT_ERROR_RUN", "outside", lambda: session.run(None, {**good, "ids": good["ids"] + 100}))
fails("RAPT_ERROR_FILE", "no-such", lambda: rapt.InferenceSession("no-such.so"))

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join
    inputs = make_inputs(4, 33)
    expected = dict(zip(["scaled", "total"], reference(**inputs)))
    np.savez_compressed(path(folder, "in.npz"), **inputs)
    np.savez(path(folder, "expect.npz"), **expected)
    np.save(path(folder, "x.npy"), np.asfortranarray(inputs["x"]))
    np.save(path(folder, "ids.npy"), inputs["ids"])
    out = path(folder, "out.npz")
    for flags in (
        ["--input", path(folder, "in.npz")],
        ["--input", "x=" + path(folder, "x.npy"), "--input", "ids=" + path(folder, "ids.npy")],
    ):
        command = [rapt_run, model, *flags, "--output", out, "--expect", path(folder, "expect.npz")]
        subprocess.run(command, check=True)
        with np.load(out) as written:
            for name, value in expected.items():
                assert written[name].dtype == value.dtype
                np.testing.assert_array_equal(written[name], value)
