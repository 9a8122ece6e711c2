"""Casts between all element types and arithmetic on unsigned and narrow types, against numpy.

    element_types.py --raptc R --library build/lib/librapt.so --python-package runtime/python

One model for each element type holds a Cast to every other one; others hold the arithmetic of an integer type, at
the ends of its range, with two inputs and with a constant, and a constant table. All go through Halide and through the reference lowering. The expected
numbers are what docs/semantics.md says: float to integer truncates and saturates, NaN gives 0, between
integers high bits are dropped, and each operation on f16 and bf16 rounds once. Exit code 1 when one differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

TYPES = {
    np.dtype(np.float16): TensorProto.FLOAT16, np.dtype(ml_dtypes.bfloat16): TensorProto.BFLOAT16,
    np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.int8): TensorProto.INT8, np.dtype(np.int16): TensorProto.INT16,
    np.dtype(np.int32): TensorProto.INT32, np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.uint16): TensorProto.UINT16,
    np.dtype(np.uint32): TensorProto.UINT32, np.dtype(np.uint64): TensorProto.UINT64,
    np.dtype(np.bool_): TensorProto.BOOL,
}
INTEGERS = [dtype for dtype in TYPES if dtype.kind in "iu"]
UNSIGNED = [dtype for dtype in INTEGERS if dtype.kind == "u"]


def is_float(dtype):
    return dtype.kind == "f" or dtype == ml_dtypes.bfloat16


def samples(dtype, random):
    """Ordinary numbers, and those at which conversions differ."""
    if dtype == np.bool_:
        return random.integers(0, 2, 67).astype(dtype)
    if not is_float(dtype):
        info = np.iinfo(dtype)
        edges = [info.min, info.min + 1, 0, 1, 2, 127, info.max // 2, info.max // 2 + 1, info.max - 1, info.max]
        return np.concatenate([np.array(edges, dtype),
                               random.integers(info.min, info.max, 57, dtype=dtype, endpoint=True)])
    numbers = [0.0, -0.0, np.nan, np.inf, -np.inf, 0.5, -0.5, 1.5, -1.5, 65504.0, 65520.0, 65519.999, -65536.0,
               3.4e38, 1e300, 5.9604645e-08, 2.9802322e-08, 2.98023224e-08 * (1 + 1e-9), 1 + 2.0**-11 + 2.0**-40,
               1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-9, 6e-5]
    for bits in (7, 8, 15, 16, 31, 32, 63, 64):
        numbers += [sign * (2.0**bits + delta) for sign in (1, -1) for delta in (-1, -0.25, 0, 0.75, 1)]
    with np.errstate(all="ignore"):
        return np.concatenate([np.array(numbers), random.standard_normal(64) * 2.0 ** random.integers(-20, 70, 64)]
                              ).astype(dtype)


def nearest_bfloat16(values):
    """f64 to bf16 rounded once; astype rounds to f32 first."""
    near = values.astype(ml_dtypes.bfloat16)
    bits = near.view(np.uint16)
    for step in (1, 0xFFFF):  # the next bit pattern, and the one before
        other = (bits + np.uint16(step)).view(ml_dtypes.bfloat16)
        with np.errstate(all="ignore"):
            closer = np.abs(other.astype(np.float64) - values) < np.abs(near.astype(np.float64) - values)
        near = np.where(closer & np.isfinite(near.astype(np.float64)), other, near)
    return near


def cast(values, to):
    """What Cast gives."""
    if to == np.bool_:
        return values != 0
    with np.errstate(all="ignore"):
        if not is_float(values.dtype) or is_float(to):
            if values.dtype == np.float64 and to == ml_dtypes.bfloat16:
                return nearest_bfloat16(values)
            return values.astype(to)
        info = np.iinfo(to)
        return np.array([0 if np.isnan(x) else min(max(int(x), info.min), info.max) if np.isfinite(x)
                         else info.max if x > 0 else info.min for x in values.astype(np.float64)], dtype=to)


def model_of(nodes, inputs, outputs, constants=None):
    """A model of vectors; inputs and outputs are {name: dtype}, and constants {name: array}."""
    constants = constants or {}
    size = max((len(array) for array in constants.values()), default="n")

    def value(name, dtype, dim):
        return helper.make_tensor_value_info(name, TYPES[np.dtype(dtype)], [dim])
    graph = helper.make_graph(nodes, "g", [value(*item, size) for item in inputs.items()],
                              [value(*item, f"{item[0]}_n") for item in outputs.items()],
                              [helper.make_tensor(name, TYPES[array.dtype], array.shape, array.tobytes(), raw=True)
                               for name, array in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)


def cast_case(dtype, random):
    x = samples(dtype, random)
    targets = [to for to in TYPES if to != dtype]
    nodes = [helper.make_node("Cast", ["x"], [f"to_{to.name}"], to=TYPES[to]) for to in targets]
    expected = {f"to_{to.name}": cast(x, to) for to in targets}
    return f"cast {dtype}", model_of(nodes, {"x": dtype}, {name: y.dtype for name, y in expected.items()}), \
        {"x": x}, expected


def integer_case(dtype, random, constant=False):
    """y has no zero, and no -1, for which numpy and ONNX have no common answer. It may be an initialiser."""
    x, y = samples(dtype, random), random.permutation(samples(dtype, random))
    y[(y == 0) | (y == dtype.type(-1) if dtype.kind == "i" else False)] = 3
    with np.errstate(all="ignore"):
        expected = {
            "Add": x + y, "Sub": x - y, "Mul": x * y, "Mod": x % y, "Max": np.maximum(x, y),
            "Min": np.minimum(x, y), "Equal": x == y, "Less": x < y, "LessOrEqual": x <= y, "Greater": x > y,
            "GreaterOrEqual": x >= y, "BitwiseAnd": x & y, "BitwiseOr": x | y, "BitwiseXor": x ^ y,
        }
        quotient = np.array([abs(int(a)) // abs(int(b)) * (1 if (a < 0) == (b < 0) else -1) for a, b in zip(x, y)],
                            dtype=object)
        expected["Div"] = quotient.astype(dtype)
        expected["Abs"] = np.abs(x)
        expected["Sign"] = np.sign(x)
        expected["BitwiseNot"] = ~x
    nodes = [helper.make_node(name, ["x"] if name in ("Abs", "Sign", "BitwiseNot") else ["x", "y"], [name])
             for name in expected]
    outputs = {name: value.dtype for name, value in expected.items()}
    if constant:
        return f"arithmetic {dtype} with a constant", model_of(nodes, {"x": dtype}, outputs, {"y": y}), \
            {"x": x}, expected
    return f"arithmetic {dtype}", model_of(nodes, {"x": dtype, "y": dtype}, outputs), {"x": x, "y": y}, expected


def table_case(dtype, random):
    """A constant vector that is read in other ways than element by element."""
    x, table = samples(dtype, random), random.permutation(samples(dtype, random))
    x[10:20] = table[10:20]
    index = random.integers(0, len(table), len(table)).astype(np.int64)
    expected = {"Concat": np.concatenate([x, table]), "Gather": table[index], "Where": np.where(x < table, table, x),
                "Half": cast(table, np.float32) * np.float32(0.5), "Reversed": table[::-1]}
    nodes = [
        helper.make_node("Concat", ["x", "table"], ["Concat"], axis=0),
        helper.make_node("Gather", ["table", "index"], ["Gather"]),
        helper.make_node("Less", ["x", "table"], ["below"]),
        helper.make_node("Where", ["below", "table", "x"], ["Where"]),
        helper.make_node("Cast", ["table"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Mul", ["wide", "half"], ["Half"]),
        helper.make_node("Slice", ["table", "first", "last", "axes", "step"], ["Reversed"]),
    ]
    constants = {"table": table} | {name: np.array([number], np.int64) for name, number in (
        ("first", -1), ("last", np.iinfo(np.int64).min), ("axes", 0), ("step", -1))}
    if dtype.kind == "u":
        nodes.append(helper.make_node("BitShift", ["table", "distance"], ["Shifted"], direction="RIGHT"))
        constants["distance"] = random.integers(0, 8, len(table)).astype(dtype)
        expected["Shifted"] = table >> constants["distance"]
    return f"table {dtype}", model_of(nodes, {"x": dtype, "index": np.int64},
                                      {name: value.dtype for name, value in expected.items()}, constants), \
        {"x": x, "index": index}, expected


def narrow_case(dtype, random):
    x, y = (random.standard_normal(67).astype(dtype) for _ in range(2))
    a, b = x.astype(np.float32), y.astype(np.float32)
    expected = {"Add": a + b, "Sub": a - b, "Mul": a * b, "Div": a / b, "Max": np.maximum(a, b), "Min": np.minimum(a, b)}
    nodes = [helper.make_node(name, ["x", "y"], [name]) for name in expected]
    # Two operations in one kernel: the sum is rounded before it is multiplied.
    nodes.append(helper.make_node("Mul", ["Add", "x"], ["Twice"]))
    expected["Twice"] = expected["Add"].astype(dtype).astype(np.float32) * a
    expected = {name: value.astype(dtype) for name, value in expected.items()}
    return f"arithmetic {dtype}", model_of(nodes, {"x": dtype, "y": dtype}, dict.fromkeys(expected, dtype)), \
        {"x": x, "y": y}, expected


def check(case, raptc, flags, folder):
    """Prints what is wrong; the number of wrong outputs."""
    import rapt

    name, model, feeds, expected = case
    source, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
    onnx.save(model, source)
    subprocess.run([raptc, source, "-o", artifact, *flags], check=True)
    results = rapt.InferenceSession(artifact, threads=1).run(list(expected), feeds)
    bad = 0
    for (output, want), got in zip(expected.items(), results):
        wide = (lambda v: v.astype(np.float64)) if is_float(want.dtype) else (lambda v: v)
        same = (wide(got) == wide(want)) | ((wide(got) != wide(got)) & (wide(want) != wide(want)))
        if got.dtype == want.dtype and same.all():
            continue
        bad += 1
        place = int(np.argmin(same))
        given = {key: value[place] for key, value in feeds.items()}
        print(f"WRONG {name} {' '.join(flags)}: {output} of {given} is {got[place]} ({got.dtype}), "
              f"expected {want[place]} ({want.dtype}); {np.count_nonzero(~same)} differ")
    os.unlink(artifact)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raptc", required=True)
    parser.add_argument("--library", required=True, help="librapt.so")
    parser.add_argument("--python-package", required=True, help="folder that holds the package rapt")
    parser.add_argument("--flag", action="append", default=[], help="a further flag for raptc")
    arguments = parser.parse_args()
    os.environ["RAPT_LIBRARY"] = arguments.library
    sys.path.insert(0, arguments.python_package)
    random = np.random.default_rng(0)
    cases = [cast_case(dtype, random) for dtype in TYPES]
    cases += [integer_case(dtype, random) for dtype in INTEGERS]
    cases += [integer_case(dtype, random, constant=True) for dtype in INTEGERS]
    cases += [table_case(dtype, random) for dtype in INTEGERS]
    cases += [narrow_case(np.dtype(dtype), random) for dtype in (np.float16, ml_dtypes.bfloat16)]
    bad = 0
    for case in cases:
        for flags in ([], ["--kernels=reference"]):
            with tempfile.TemporaryDirectory() as folder:
                bad += check(case, arguments.raptc, flags + arguments.flag, folder)
    print(f"{len(cases)} models, {bad} wrong outputs")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
