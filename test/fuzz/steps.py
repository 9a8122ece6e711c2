"""The steps that a random graph is made of: each appends an operator, or a few, to a graphs.Graph."""

import numpy as np
from onnx import TensorProto

from attention import attention
from graphs import FLOATS, NotApplicable

INT, BOOL = TensorProto.INT64, TensorProto.BOOL
# onnxruntime has no kernels of these for float64, or not of every version.
NOT_WIDE = {"Celu", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mean", "Mish", "PRelu", "Selu",
            "Softplus", "Softsign"}


def result_of(a, b):
    """Dims of a broadcast, where that is certain."""
    rank = max(len(a), len(b))
    a, b = [1] * (rank - len(a)) + list(a), [1] * (rank - len(b)) + list(b)
    if any(x != y and 1 not in (x, y) for x, y in zip(a, b)):
        raise NotApplicable
    return [y if x == 1 else x for x, y in zip(a, b)]


def partner(g, x):
    """Something that broadcasts with x: another tensor, or a weight of some of its dims."""
    if g.chance(0.5):
        def fits(y):
            try:
                result_of(x.dims, y.dims)
                return True
            except NotApplicable:
                return False
        return g.any(fits)
    dims = [dim if isinstance(dim, int) and g.chance(0.6) else 1 for dim in x.dims]
    return g.weight(*dims[g.random.randint(0, len(dims)):])


def positive(g, x, least):
    """|x| + least."""
    return g.op("Add", [g.op("Abs", [x], x.dims), g.scalar(least)], x.dims)


def unary(g):
    x = g.any()
    kind = g.pick("Tanh", "Sigmoid", "Relu", "Neg", "Abs", "Erf", "Softplus", "Softsign", "Sin", "Cos", "LeakyRelu", "Elu",
                  "HardSigmoid", "Selu", "Identity", "Exp", "Sqrt", "Log", "Reciprocal", "Clip", "HardSwish", "Mish",
                  "Gelu", "Floor", "Sign", "Cast", "Dropout", "Celu", "PRelu")
    if kind in NOT_WIDE and g.real == TensorProto.DOUBLE or kind == "Celu" and g.real != TensorProto.FLOAT:
        raise NotApplicable
    if kind == "Exp":
        x = g.op("Tanh", [x], x.dims)
    elif kind in ("Sqrt", "Log", "Reciprocal"):
        x = positive(g, x, 0.5)
    if kind == "Clip":
        g.op("Clip", [x, g.scalar(-0.7), g.scalar(0.9)], x.dims)
    elif kind == "PRelu":
        g.op("PRelu", [x, g.weight(1)], x.dims)
    elif kind == "Cast":
        wide = g.pick(*FLOATS)
        y = g.op("Cast", [x], x.dims, kind=wide, sharp=x.sharp, to=wide)
        g.op("Cast", [y], x.dims, kind=g.real, sharp=x.sharp, to=g.real)
    elif kind in ("Floor", "Sign"):
        x = g.any(lambda y: y.sharp)
        g.op(kind, [x], x.dims, sharp=True)
    elif (kind, g.opset < 20) == ("Gelu", True) or (kind, g.opset < 18) == ("Mish", True):
        raise NotApplicable
    else:
        g.op(kind, [x], x.dims, sharp=x.sharp and kind in ("Neg", "Abs", "Relu", "Identity"))


def binary(g):
    x = g.any()
    y = partner(g, x)
    dims, kind = result_of(x.dims, y.dims), g.pick("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Mean")
    if kind in NOT_WIDE and g.real == TensorProto.DOUBLE:
        raise NotApplicable
    if kind == "Div":
        y = positive(g, y, 0.8)
    if kind == "Pow":
        x, y = positive(g, x, 0.5), g.scalar(g.pick(2.0, 0.5, 3.0, -1.0))
        dims = x.dims
    operands = [x, y] if g.chance(0.5) or kind in ("Div", "Pow") else [y, x]
    g.op(kind, operands, dims, kind=g.real, sharp=kind in ("Max", "Min") and x.sharp and y.sharp)


def select(g):
    sharp = g.any(lambda y: y.sharp)
    condition = g.op(g.pick("Greater", "Less", "GreaterOrEqual"), [sharp, g.scalar(g.pick(0.0, 0.3))], sharp.dims, BOOL, True)
    if g.chance(0.3):
        condition = g.op("Not", [condition], condition.dims, BOOL, True)

    def fits(y):
        try:
            return bool(result_of(condition.dims, y.dims))
        except NotApplicable:
            return False
    x = g.any(fits)
    dims = result_of(condition.dims, x.dims)
    other = g.scalar(g.pick(0.0, -1.0, 2.5))
    g.op("Where", [condition, x, other] if g.chance(0.5) else [condition, other, x], dims, g.real, x.sharp)


def reduction(g):
    x = g.any(lambda y: y.rank > 0)
    axes = sorted(g.random.sample(range(x.rank), g.random.randint(1, min(2, x.rank))))
    keep = int(g.chance(0.6))
    dims = [1 if i in axes else dim for i, dim in enumerate(x.dims) if keep or i not in axes]
    if g.chance(0.3):
        axes = [axis - x.rank for axis in axes]
    kind = g.pick("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1", "ReduceLogSumExp",
                  "ReduceSumSquare")
    g.axes(kind, x, axes, dims, keep)


def transpose(g):
    x = g.any(lambda y: y.rank > 1)
    perm = g.random.sample(range(x.rank), x.rank)
    g.op("Transpose", [x], [x.dims[i] for i in perm], sharp=x.sharp, perm=perm)


def reshape(g):
    """Merges two neighbours, splits a number, or gives all dims by arithmetic on the shape."""
    x = g.any(lambda y: y.rank > 0)
    at = g.random.randrange(x.rank)
    shape = [0] * x.rank
    if g.chance(0.5) and at + 1 < x.rank:
        merged = f"({x.dims[at]})*({x.dims[at + 1]})"
        numbers = [isinstance(dim, int) for dim in x.dims[at:at + 2]]
        dims = x.dims[:at] + [x.dims[at] * x.dims[at + 1] if all(numbers) else merged] + x.dims[at + 2:]
        if at == x.rank - 2:
            shape = shape[:at] + [-1]
        elif g.chance(0.5):
            return shape_arithmetic(g, x, at, dims)
        else:
            g.op("Reshape", [x, g.constant(np.array([0] * at + [-1], np.int64))],
                 x.dims[:at] + [product(x.dims[at:])], sharp=x.sharp)
            return None
    elif isinstance(x.dims[at], int) and x.dims[at] % 2 == 0 and x.rank < 5:
        half = x.dims[at] // 2
        dims = x.dims[:at] + [2, half] + x.dims[at + 1:]
        if at + 1 != x.rank:
            return shape_split(g, x, at, dims)
        shape = shape[:at] + g.pick([2, half], [2, -1], [-1, half])
    else:
        raise NotApplicable
    return g.op("Reshape", [x, g.constant(np.array(shape, np.int64))], dims, sharp=x.sharp)


def product(dims):
    if all(isinstance(dim, int) for dim in dims):
        return int(np.prod(dims))
    return "*".join(f"({dim})" for dim in dims)


def dims_of(g, x):
    return g.op("Shape", [x], [x.rank], INT, True)


def piece(g, shape, begin, end):
    """shape[begin:end] as a vector."""
    bounds = [g.constant(np.array([i], np.int64)) for i in (begin, end, 0)]
    return g.op("Slice", [shape, *bounds], [end - begin], INT, True)


def shape_arithmetic(g, x, at, dims):
    """Merges dims `at` and `at + 1` by a shape that the graph computes."""
    shape = dims_of(g, x)
    merged = g.op("Mul", [piece(g, shape, at, at + 1), piece(g, shape, at + 1, at + 2)], [1], INT, True)
    parts = [piece(g, shape, 0, at)] if at else []
    parts += [merged] + ([piece(g, shape, at + 2, x.rank)] if at + 2 < x.rank else [])
    whole = g.op("Concat", parts, [x.rank - 1], INT, True, axis=0)
    return g.op("Reshape", [x, whole], dims, sharp=x.sharp)


def shape_split(g, x, at, dims):
    shape = dims_of(g, x)
    parts = [piece(g, shape, 0, at)] if at else []
    parts += [g.constant(np.array(dims[at:at + 2], np.int64)), piece(g, shape, at + 1, x.rank)]
    whole = g.op("Concat", parts, [x.rank + 1], INT, True, axis=0)
    return g.op("Reshape", [x, whole], dims, sharp=x.sharp)


def slices(g):
    x = g.any(lambda y: y.rank > 0)
    axis = g.random.randrange(x.rank)
    size = x.dims[axis]
    if isinstance(size, int):
        step = g.pick(1, 1, 2, 3, -1, -2)
        low, high = sorted(g.random.sample(range(size + 1), 2)) if size > 1 else (0, 1)
        count = len(range(low, high, abs(step)))
        start, end = (low, high) if step > 0 else (high - 1, low - 1 if low else -size - 5)
        if step > 0 and high == size and g.chance(0.5):
            end = 2 ** 63 - 1
    else:
        if "-" in size or "*" in size:
            raise NotApplicable
        step, start, end = g.pick((1, 1, 2 ** 63 - 1), (1, 0, -1), (-1, -1, -2 ** 63 + 1))
        count = size if step < 0 else f"({size}-1)"
        if min(g.size(count, which) for which in range(2)) < 1:
            raise NotApplicable
    bounds = [g.constant(np.array([i], np.int64)) for i in (start, end, g.pick(axis, axis - x.rank), step)]
    g.op("Slice", [x, *bounds], x.dims[:axis] + [count] + x.dims[axis + 1:], sharp=x.sharp)


def plus(a, b):
    return a + b if isinstance(a, int) and isinstance(b, int) else f"({a}+{b})"


def concat(g):
    x = g.any(lambda y: y.rank > 0)
    axis = g.random.randrange(x.rank)
    rest = lambda y: y.dims[:axis] + y.dims[axis + 1:]
    y = g.any(lambda y: y.rank == x.rank and rest(y) == rest(x))
    dims = list(x.dims)
    dims[axis] = plus(x.dims[axis], y.dims[axis])
    g.op("Concat", [x, y], dims, sharp=x.sharp and y.sharp, axis=axis - (x.rank if g.chance(0.3) else 0))


def split(g):
    x = g.any(lambda y: any(isinstance(dim, int) and dim > 2 for dim in y.dims))
    axis = g.pick(*[i for i, dim in enumerate(x.dims) if isinstance(dim, int) and dim > 2])
    first = g.random.randint(1, x.dims[axis] - 1)
    sizes = [first, x.dims[axis] - first]
    g.op("Split", [x, g.constant(np.array(sizes, np.int64))], x.dims, sharp=x.sharp, outputs=2, axis=axis)
    for name, size in zip(g.nodes[-1].output, sizes):
        g.tensors[name].dims = x.dims[:axis] + [size] + x.dims[axis + 1:]


def matmul(g):
    x = g.any(lambda y: y.rank > 1)
    if isinstance(x.dims[-1], int) and g.chance(0.7):
        inner, columns = x.dims[-1], g.pick(1, 4, 9, 16, 33)
        y = g.op("MatMul", [x, g.weight(inner, columns, scale=inner ** -0.5)], x.dims[:-1] + [columns])
        if g.chance(0.5):
            g.op("Add", [y, g.weight(columns)], y.dims)
        return
    y = g.any(lambda y: y.rank == x.rank and y.dims[:-2] == x.dims[:-2] and y.dims[-1] == x.dims[-1])
    turn = list(range(x.rank - 2)) + [x.rank - 1, x.rank - 2]
    y = g.op("Transpose", [y], [y.dims[i] for i in turn], perm=turn)
    z = g.op("MatMul", [x, y], x.dims[:-1] + y.dims[-1:])
    g.op("Mul", [z, g.scalar(0.2)], z.dims)


def gemm(g):
    x = g.any(lambda y: y.rank == 2)
    turned, inner, rest = (1, *x.dims) if g.chance(0.3) else (0, *reversed(x.dims))
    if not isinstance(inner, int):
        raise NotApplicable
    columns, other = g.pick(1, 5, 16), int(g.chance(0.5))
    weight = g.weight(*((columns, inner) if other else (inner, columns)), scale=inner ** -0.5)
    g.op("Gemm", [x, weight, g.weight(columns)] if g.chance(0.7) else [x, weight], [rest, columns], transA=turned,
         transB=other, alpha=g.pick(1.0, 0.5), beta=g.pick(1.0, 2.0))


def softmax(g):
    x = g.any(lambda y: y.rank > 0)
    g.op(g.pick("Softmax", "Softmax", "LogSoftmax"), [x], x.dims, axis=g.random.randrange(-x.rank, x.rank))


def norm(g):
    x = g.any(lambda y: y.rank > 1 and isinstance(y.dims[-1], int) and y.dims[-1] > 1)
    width = x.dims[-1]
    if g.chance(0.5):
        operands = [x, g.weight(width)] + ([g.weight(width)] if g.chance(0.7) else [])
        g.op("LayerNormalization", operands, x.dims, axis=-1, epsilon=1e-5)
        return
    # Of squares, as exporters write it.
    mean = g.axes("ReduceMean", g.op("Pow", [x, g.scalar(2.0)], x.dims), [-1], x.dims[:-1] + [1], 1)
    root = g.op("Sqrt", [g.op("Add", [mean, g.scalar(1e-3)], mean.dims)], mean.dims)
    y = g.op("Div", [x, root], x.dims)
    g.op("Mul", [g.weight(width), y], x.dims)


def gather(g):
    if g.chance(0.4):
        ids = g.any(lambda y: y.kind == INT and y in g.inputs, real=False)
        g.op("Gather", [g.weight(11, g.pick(4, 16, 7)), ids], ids.dims + [g.initializers[-1].dims[1]], g.real)
        return
    x = g.any(lambda y: any(isinstance(dim, int) for dim in y.dims))
    axis = g.pick(*[i for i, dim in enumerate(x.dims) if isinstance(dim, int)])
    shape = g.pick((), (3,), (2, 2))
    indices = g.constant(g.numbers.integers(-x.dims[axis], x.dims[axis], shape))
    g.op("Gather", [x, indices], x.dims[:axis] + list(shape) + x.dims[axis + 1:], sharp=x.sharp, axis=axis)


def units(g):
    """Adds or removes a dim of size one."""
    x = g.any(lambda y: y.rank < 5)
    ones = [i for i, dim in enumerate(x.dims) if dim == 1]
    if ones and g.chance(0.5):
        axis = g.pick(*ones)
        g.axes("Squeeze", x, [axis], x.dims[:axis] + x.dims[axis + 1:]).sharp = x.sharp
    else:
        axis = g.random.randint(0, x.rank)
        g.axes("Unsqueeze", x, [axis], x.dims[:axis] + [1] + x.dims[axis:]).sharp = x.sharp


def expand(g):
    x = g.any(lambda y: 1 in y.dims and y.rank > 0)
    axis = x.dims.index(1)
    count = g.pick(2, 3)
    sizes = g.constant(np.array([count if i == axis else 1 for i in range(x.rank)], np.int64))
    g.op(g.pick("Expand", "Tile"), [x, sizes], x.dims[:axis] + [count] + x.dims[axis + 1:], sharp=x.sharp)


def pad(g):
    x = g.any(lambda y: y.rank > 0)
    mode = g.pick("constant", "constant", "edge", "reflect")
    axis = g.random.randrange(x.rank)
    if mode == "reflect" and min(g.size(x.dims[axis], which) for which in range(2)) < 3:
        raise NotApplicable
    before, after = g.random.randint(0, 2), g.random.randint(0, 2)
    pads = np.zeros(2 * x.rank, np.int64)
    pads[axis], pads[x.rank + axis] = before, after
    operands = [x, g.constant(pads)] + ([g.scalar(g.pick(0.0, -1.5))] if mode == "constant" else [])
    g.op("Pad", operands, x.dims[:axis] + [plus(x.dims[axis], before + after)] + x.dims[axis + 1:], sharp=x.sharp, mode=mode)


def trilu(g):
    x = g.any(lambda y: y.rank > 1)
    g.op("Trilu", [x, g.constant(np.array(g.pick(-1, 0, 2), np.int64))], x.dims, sharp=x.sharp, upper=int(g.chance(0.5)))


def cumsum(g):
    x = g.any(lambda y: y.rank > 0)
    g.op("CumSum", [x, g.constant(np.array(g.random.randrange(x.rank), np.int64))], x.dims, exclusive=int(g.chance(0.3)),
         reverse=int(g.chance(0.3)))


def topk(g):
    x = g.any(lambda y: y.sharp and y.rank > 0 and all(g.size(y.dims[-1], which) > 2 for which in range(2)))
    if g.chance(0.5):
        g.op("ArgMax", [x], x.dims[:-1] + [1], INT, True, axis=-1, keepdims=1)
        return
    g.op("TopK", [x, g.constant(np.array([3], np.int64))], x.dims[:-1] + [3], sharp=True, outputs=2, axis=-1)
    g.tensors[g.nodes[-1].output[1]].kind = INT


def integers(g):
    x = g.any(lambda y: y.kind == INT and y.rank > 0 and y.name not in g.used, real=False)
    kind = g.pick("Add", "Mul", "Sub", "Cast", "ReduceSum", "Equal")
    number = g.constant(np.array(g.pick(2, 3, -5), np.int64))
    if kind == "Cast":
        g.op("Cast", [x], x.dims, g.real, True, to=g.real)
    elif kind == "ReduceSum":
        g.axes("ReduceSum", x, [-1], x.dims[:-1], 0).sharp = True
    else:
        g.op(kind, [x, number], x.dims, BOOL if kind == "Equal" else INT, True)


def einsum(g):
    x = g.any(lambda y: y.rank == 3 and isinstance(y.dims[2], int))
    w = g.weight(x.dims[2], 2, 3, scale=x.dims[2] ** -0.5)
    g.op("Einsum", [x, w], [x.dims[0], 2, x.dims[1], 3], equation="bsd,dhe->bhse")


def convolution(g):
    x = g.any(lambda y: y.rank == 3 and isinstance(y.dims[1], int) and y.dims[1] < 20)
    if g.real == TensorProto.DOUBLE or min(g.size(x.dims[2], which) for which in range(2)) < 3:
        raise NotApplicable
    filters = g.pick(3, 8)
    g.op("Conv", [x, g.weight(filters, x.dims[1], 3, scale=0.3), g.weight(filters)], [x.dims[0], filters, x.dims[2]],
         kernel_shape=[3], pads=[1, 1])


# What rounds little more than it is given, and what onnxruntime has kernels of for dims of 0.
CALM = {transpose, concat, units, attention}
ANY_SIZE = CALM | {unary, binary, matmul, softmax, norm}

STEPS = {unary: 10, binary: 10, select: 3, reduction: 5, transpose: 4, reshape: 5, slices: 5, concat: 4, split: 2,
         matmul: 6, gemm: 2, softmax: 3, norm: 4, gather: 3, units: 3, expand: 2, pad: 2, trilu: 1, cumsum: 1, topk: 2,
         integers: 3, einsum: 1, convolution: 1, attention: 16}
