"""Steps of random graphs that move data by indices, and those on integers and booleans."""

import numpy as np
from onnx import TensorProto, numpy_helper

from graphs import FLOATS, NotApplicable

INT, BOOL = TensorProto.INT64, TensorProto.BOOL


def index(g, dim):
    """An index into a dim; only the ends are certain of one that is a symbol."""
    return int(g.numbers.integers(-dim, dim)) if isinstance(dim, int) else g.pick(0, -1)


def small(g, dim):
    """A size of at most `dim` and 3."""
    return g.random.randint(1, min(3, min(g.size(dim, which) for which in range(2))))


def distinct(g, dim, count):
    """Indices that name different places."""
    if not isinstance(dim, int):
        if count > 1:
            raise NotApplicable
        return [g.pick(0, -1)]
    return [i - dim if g.chance(0.3) else i for i in g.random.sample(range(dim), count)]


def gather_elements(g):
    x = g.any(lambda y: y.rank > 0 and any(isinstance(dim, int) for dim in y.dims))
    axis = g.pick(*[i for i, dim in enumerate(x.dims) if isinstance(dim, int)])
    shape = [g.random.randint(1, 4) if i == axis else small(g, dim) for i, dim in enumerate(x.dims)]
    indices = g.constant(g.numbers.integers(-x.dims[axis], x.dims[axis], shape))
    g.op("GatherElements", [x, indices], shape, sharp=x.sharp, axis=axis - (x.rank if g.chance(0.3) else 0))


def gather_nd(g):
    x = g.any(lambda y: y.rank > 0)
    depth = g.random.randint(1, min(2, x.rank))
    shape = g.pick([2], [3, 2], [1])
    indices = np.array([[index(g, dim) for dim in x.dims[:depth]] for _ in range(int(np.prod(shape)))], np.int64)
    g.op("GatherND", [x, g.constant(indices.reshape(*shape, depth))], shape + x.dims[depth:], sharp=x.sharp)


def reduction_of(g):
    kinds = ["add", "mul"] + (["max", "min"] if g.opset >= 18 else [])
    kind = g.pick("none", *(kinds if g.real != TensorProto.FLOAT16 else []))
    return kind, {} if kind == "none" else {"reduction": kind}


def scatter_elements(g):
    x = g.any(lambda y: y.rank > 0 and any(isinstance(dim, int) for dim in y.dims))
    axis = g.pick(*[i for i, dim in enumerate(x.dims) if isinstance(dim, int)])
    shape = [min(g.random.randint(1, 4), dim) if i == axis else small(g, dim) for i, dim in enumerate(x.dims)]
    kind, attributes = reduction_of(g)
    if kind == "none":
        lines = [distinct(g, x.dims[axis], shape[axis]) for _ in range(int(np.prod(shape)) // shape[axis])]
        rest = shape[:axis] + shape[axis + 1:]
        indices = np.moveaxis(np.array(lines, np.int64).reshape(*rest, shape[axis]), -1, axis)
    else:
        indices = g.numbers.integers(-x.dims[axis], x.dims[axis], shape)
    g.op("ScatterElements", [x, g.constant(indices), g.weight(*shape)], x.dims, axis=axis,
         sharp=x.sharp and kind == "none", **attributes)


def scatter_nd(g):
    x = g.any(lambda y: y.rank > 0 and isinstance(y.dims[0], int))
    kind, attributes = reduction_of(g)
    count = g.random.randint(1, min(3, x.dims[0]))
    if all(isinstance(dim, int) for dim in x.dims[1:]):
        update = g.weight(count, *x.dims[1:])
    else:
        some = range(1, min(3, x.dims[0]) + 1)
        update = g.any(lambda y: y.rank == x.rank and y.dims[1:] == x.dims[1:] and y.dims[0] in some)
        count = update.dims[0]
    rows = distinct(g, x.dims[0], count) if kind == "none" else g.numbers.integers(0, x.dims[0], count)
    g.op("ScatterND", [x, g.constant(np.array(rows, np.int64).reshape(count, 1)), update], x.dims, **attributes)


def one_hot(g):
    if g.real != TensorProto.FLOAT:
        raise NotApplicable  # onnxruntime has no other
    ids = g.any(lambda y: y.kind == INT and y in g.inputs and y.rank > 0, real=False)
    values = g.constant(np.array([g.pick(0.0, -1.0), 2.0], FLOATS[g.real]))
    axis = g.pick(-1, 0, 1)
    dims = list(ids.dims)
    dims.insert(axis if axis >= 0 else len(dims), 9)
    g.op("OneHot", [ids, g.constant(np.array(9, np.int64)), values], dims, g.real, True, axis=axis)


def reverse_sequence(g):
    x = g.any(lambda y: y.rank > 1 and isinstance(y.dims[0], int))
    least = min(g.size(x.dims[1], which) for which in range(2))
    lengths = g.constant(g.numbers.integers(1, least + 1, x.dims[0]))
    g.op("ReverseSequence", [x, lengths], x.dims, sharp=x.sharp, time_axis=1, batch_axis=0)


def filled(g):
    """ConstantOfShape or EyeLike, times a tensor."""
    x = g.any(lambda y: y.rank > 0)
    if x.rank == 2 and g.real != TensorProto.FLOAT16 and g.chance(0.5):
        y = g.op("EyeLike", [x], x.dims, k=g.pick(-1, 0, 2), sharp=True)
    else:
        shape = g.op("Shape", [x], [x.rank], INT, True)
        value = np.array([g.pick(0.5, 3.0)], FLOATS[g.real])
        y = g.op("ConstantOfShape", [shape], x.dims, g.real, True, value=numpy_helper.from_array(value))
    g.op(g.pick("Mul", "Add"), [x, y], x.dims, g.real)


def compress(g):
    x = g.any(lambda y: y.rank > 0 and any(isinstance(dim, int) and dim > 1 for dim in y.dims))
    axis = g.pick(*[i for i, dim in enumerate(x.dims) if isinstance(dim, int) and dim > 1])
    condition = g.numbers.random(x.dims[axis]) < 0.6
    condition[g.random.randrange(x.dims[axis])] = True
    dims = list(x.dims)
    dims[axis] = int(condition.sum())
    g.op("Compress", [x, g.constant(condition)], dims, sharp=x.sharp, axis=axis)


def logic(g):
    """A selection by two comparisons."""
    x = g.any(lambda y: y.sharp and y.rank > 0)
    first = g.op("Greater", [x, g.scalar(0.1)], x.dims, BOOL, True)
    second = g.op("LessOrEqual", [x, g.scalar(g.pick(-0.3, 0.8))], x.dims, BOOL, True)
    both = g.op(g.pick("And", "Or", "Xor"), [first, second], x.dims, BOOL, True)
    y = g.any(lambda y: y.dims == x.dims)
    g.op("Where", [both, y, g.scalar(0.25)], x.dims, g.real, y.sharp)


def whole_numbers(g):
    x = g.any(lambda y: y.kind == INT and y.rank > 0, real=False)
    kind = g.pick("Mod", "Div", "Max", "Where", "Clip", "Neg", "Range", "ReduceMax", "Transpose")
    three = g.constant(np.array(3, np.int64))
    if kind == "Where":
        big = g.op("Greater", [x, three], x.dims, BOOL, True)
        g.op("Where", [big, x, three], x.dims, INT, True)
    elif kind == "Clip":
        g.op("Clip", [x, g.constant(np.array(1, np.int64)), three], x.dims, INT, True)
    elif kind == "Neg":
        g.op("Neg", [x], x.dims, INT, True)
    elif kind == "ReduceMax":
        g.axes("ReduceMax", x, [0], [1] + x.dims[1:], 1).sharp = True
    elif kind == "Transpose":
        g.op("Transpose", [x], x.dims[::-1], INT, True)
    elif kind == "Range":
        shape = g.op("Shape", [x], [x.rank], INT, True)
        count = g.op("Gather", [shape, g.constant(np.array(0, np.int64))], [], INT, True)
        zero, one = (g.constant(np.array(i, np.int64)) for i in (0, 1))
        line = g.op("Range", [zero, count, one], [x.dims[0]], INT, True)
        real = g.op("Cast", [line], line.dims, g.real, True, to=g.real)
        g.op("Mul", [real, g.scalar(0.1)], real.dims, g.real)
    else:
        g.op(kind, [x, three], x.dims, INT, True)


def more_unary(g):
    x = g.any()
    kind = g.pick("Atan", "Asinh", "Cosh", "Sinh", "Tan", "Asin", "Acos", "Atanh", "Shrink", "Round", "Ceil", "Sum",
                  "Max", "ReduceProd", "ReduceLogSum", "ThresholdedRelu")
    if kind in ("Round", "Ceil", "ThresholdedRelu"):
        x = g.any(lambda y: y.sharp)
        if kind == "ThresholdedRelu" and g.real != TensorProto.FLOAT:
            raise NotApplicable
        g.op(kind, [x], x.dims, sharp=True, **({"alpha": 0.4} if kind == "ThresholdedRelu" else {}))
    elif kind in ("ReduceProd", "ReduceLogSum"):
        if x.rank == 0:
            raise NotApplicable
        y = g.op("Add", [g.op("Sigmoid", [x], x.dims), g.scalar(0.5)], x.dims)
        g.axes(kind, y, [x.rank - 1], x.dims[:-1] + [1], 1)
    elif kind in ("Sum", "Max"):
        g.op(kind, [x, g.any(lambda y: y.dims == x.dims), g.scalar(0.1)], x.dims, g.real)
    elif g.real != TensorProto.FLOAT:
        raise NotApplicable
    elif kind == "Shrink":
        g.op(kind, [x], x.dims, lambd=0.5, bias=0.5)
    else:
        small_x = g.op("Mul", [g.op("Tanh", [x], x.dims), g.scalar(0.9)], x.dims)
        g.op(kind, [small_x], x.dims)


def more_einsum(g):
    if g.chance(0.5):
        x = g.any(lambda y: y.rank == 4)
        y = g.any(lambda y: y.rank == 4 and [y.dims[i] for i in (0, 1, 3)] == [x.dims[i] for i in (0, 1, 3)])
        z = g.op("Einsum", [x, y], [x.dims[0], x.dims[2], x.dims[1], y.dims[2]], equation="bhid,bhjd->bihj")
        g.op("Mul", [z, g.scalar(0.2)], z.dims)
        return
    x = g.any(lambda y: y.rank > 1 and isinstance(y.dims[-1], int))
    w = g.weight(3, x.dims[-1], scale=x.dims[-1] ** -0.5)
    g.op("Einsum", [w, x], [3] + x.dims[:-1], equation="ed,...d->e...")


STEPS = {gather_elements: 2, gather_nd: 2, scatter_elements: 2, scatter_nd: 2, one_hot: 2, reverse_sequence: 1,
         filled: 1, compress: 1, logic: 2, whole_numbers: 2, more_unary: 4, more_einsum: 2}
