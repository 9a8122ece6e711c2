"""Attention as one operator in random graphs: Attention of opset 23 and com.microsoft's."""

import numpy as np
from onnx import TensorProto

from attention import LOWEST, keep_apart
from graphs import NotApplicable

INT, BOOL = TensorProto.INT64, TensorProto.BOOL
MICROSOFT = {"domain": "com.microsoft"}


class Heads:
    """Query, key and value heads for one operator, from tensors [batch, length, width]."""

    def __init__(self, g, cross=True):
        def fits(y):
            return y.rank == 3 and isinstance(y.dims[2], int) and g.size(y.dims[1]) <= 40
        self.g, self.x = g, g.any(fits)
        other = cross and g.chance(0.4)
        self.y = g.any(lambda y: fits(y) and y.dims[0] == self.x.dims[0]) if other else self.x
        self.heads = g.pick(1, 2, 3, 4, 6)
        self.groups = g.pick(*[i for i in range(1, self.heads + 1) if self.heads % i == 0])
        self.dim, self.value_dim = g.pick(4, 8, 16), g.pick(4, 8, 12)

    def project(self, x, heads, dim):
        g, width = self.g, x.dims[2]
        return g.op("MatMul", [x, g.weight(width, heads * dim, scale=width ** -0.5)], x.dims[:2] + [heads * dim])

    def apart(self, x, heads, dim):
        """[n, s, heads * dim] as [n, heads, s, dim]."""
        g = self.g
        y = g.op("Reshape", [x, g.constant(np.array([0, 0, heads, dim], np.int64))], x.dims[:2] + [heads, dim])
        return g.op("Transpose", [y], [x.dims[0], heads, x.dims[1], dim], perm=[0, 2, 1, 3])

    def past(self, heads, dim):
        """A cache, which may be empty: no other step reads it."""
        cache = self.g.real_input([self.x.dims[0], heads, self.g.dim("p"), dim])
        cache.masks = True
        return cache

    def length(self, kind):
        """The number of queries, a scalar that the graph computes."""
        g = self.g
        shape = g.op("Shape", [self.x], [3], INT, True)
        count = g.op("Gather", [shape, g.constant(np.array(1, np.int64))], [], INT, True, axis=0)
        return g.op("Cast", [count], [], kind, True, to=kind)


def total(g, past, now):
    if isinstance(past, int) and isinstance(now, int):
        return past + now
    return f"({past}+{now})"


def rows_hidden(shape, numbers):
    """A mask of bool in which some queries are without a key."""
    mask = seen(shape, numbers)
    mask[numbers.random(shape[:-1]) < 0.3] = False
    return mask


def seen(shape, numbers):
    """A mask of bool in which no query is without a key."""
    mask = numbers.random(shape) < 0.7
    mask[..., :1] = True
    return mask


def kept(shape, numbers):
    """The same in 1 and 0."""
    return seen(shape, numbers).astype(np.int32)


def standard(g):
    """Attention of opset 23, in three or four dims, with a cache or without."""
    if g.opset < 23 or g.real == TensorProto.DOUBLE:
        raise NotApplicable
    s = Heads(g)
    n, i, j = s.x.dims[0], s.x.dims[1], s.y.dims[1]
    query, key = s.project(s.x, s.heads, s.dim), s.project(s.y, s.groups, s.dim)
    value = s.project(s.y, s.groups, s.value_dim)
    attributes, flat = {"is_causal": int(g.chance(0.4))}, g.chance(0.5)
    if flat:
        attributes |= {"q_num_heads": s.heads, "kv_num_heads": s.groups}
    else:
        query, key = s.apart(query, s.heads, s.dim), s.apart(key, s.groups, s.dim)
        value = s.apart(value, s.groups, s.value_dim)
    if g.chance(0.3):
        attributes["scale"] = g.pick(0.2, 1.0)
    if g.chance(0.3):
        attributes["softcap"] = g.pick(1.5, 8.0)
    operands, before = [query, key, value], set(g.tensors)
    cached, hides = g.chance(0.4), g.chance(0.3)
    every = total(g, g.dim("p"), j) if cached else j
    if g.chance(0.5) and not (attributes["is_causal"] and cached):
        dims = g.pick([i, every], [n, 1, i, every], [n, s.heads, i, every], [1, 1, i, every])
        form = rows_hidden if hides else seen
        operands.append(g.input(BOOL, dims, form) if hides or g.chance(0.5) else g.real_input(dims))
    elif cached:
        operands.append("")
    if cached:
        operands += [s.past(s.groups, s.dim), s.past(s.groups, s.value_dim)]
    out = [n, i, s.heads * s.value_dim] if flat else [n, s.heads, i, s.value_dim]
    g.op("Attention", operands, out, g.real, outputs=3 if cached else 1, **attributes)
    if cached:
        for name, dim in zip(g.nodes[-1].output[1:], (s.dim, s.value_dim)):
            g.tensors[name].dims = [n, s.groups, every, dim]
    if hides:
        keep_apart(g, before)


def microsoft(g):
    """MultiHeadAttention: apart, or keys and values of another length, with masks, biases and caches."""
    if g.real != TensorProto.FLOAT:
        raise NotApplicable
    s = Heads(g)
    n, i, j = s.x.dims[0], s.x.dims[1], s.y.dims[1]
    width, value_width = s.heads * s.dim, s.heads * s.value_dim
    operands = [s.project(s.x, s.heads, s.dim), s.project(s.y, s.heads, s.dim), s.project(s.y, s.heads, s.value_dim)]
    operands.append(g.weight(2 * width + value_width, scale=0.3) if g.chance(0.5) else "")
    cached = s.x is s.y and s.value_dim == s.dim and g.chance(0.7)
    every = total(g, g.dim("p"), j) if cached else j
    padding = ""
    if g.chance(0.4) and not cached:
        padding = g.input(TensorProto.INT32, [n, j], kept)
    bias = g.real_input([g.pick(1, n), g.pick(1, s.heads), i, every]) if g.chance(0.4) else ""
    operands += [padding, bias]
    if cached:
        operands += [s.past(s.heads, s.dim), s.past(s.heads, s.value_dim)]
    attributes = {"num_heads": s.heads, **MICROSOFT}
    if s.x is s.y and g.chance(0.4):
        attributes["unidirectional"] = 1
    if g.chance(0.3):
        attributes["scale"] = 0.3
    g.op("MultiHeadAttention", operands, [n, i, value_width], outputs=3 if cached else 1, **attributes)
    if cached:
        for name, dim in zip(g.nodes[-1].output[1:], (s.dim, s.value_dim)):
            g.tensors[name].dims = [n, s.heads, every, dim]


def packed(g):
    """com.microsoft's Attention: one product for queries, keys and values."""
    if g.real != TensorProto.FLOAT:
        raise NotApplicable
    s = Heads(g, cross=False)
    n, i, width = *s.x.dims[:2], s.x.dims[2]
    wide = s.heads * s.dim
    operands = [s.x, g.weight(width, 3 * wide, scale=width ** -0.5), g.weight(3 * wide, scale=0.2)]
    attributes = {"num_heads": s.heads, **MICROSOFT}
    if g.chance(0.5):
        operands.append(g.input(TensorProto.INT32, [n, i], kept))
    if g.chance(0.4):
        attributes["unidirectional"] = 1
    if g.chance(0.3):
        operands += [""] * (5 - len(operands)) + [g.real_input([1, s.heads, i, i])]
    g.op("Attention", operands, [n, i, wide], **attributes)


def grouped(g):
    """GroupQueryAttention over a cache that grows, all rows of one length."""
    if g.real != TensorProto.FLOAT:
        raise NotApplicable
    s = Heads(g, cross=False)
    n, i = s.x.dims[:2]
    s.dim = g.pick(16, 32)
    operands = [s.project(s.x, s.heads, s.dim), s.project(s.x, s.groups, s.dim), s.project(s.x, s.groups, s.dim)]
    operands += ["", ""]
    length = s.length(TensorProto.INT32)
    ones = g.op("Expand", [g.op("Sub", [length, g.constant(np.array(1, np.int32))], [], TensorProto.INT32, True),
                           g.op("Slice", [g.op("Shape", [s.x], [3], INT, True), g.constant(np.array([0], np.int64)),
                                          g.constant(np.array([1], np.int64))], [1], INT, True)], [n],
                TensorProto.INT32, True)
    operands += [ones, length]
    attributes = {"num_heads": s.heads, "kv_num_heads": s.groups, **MICROSOFT}
    if g.chance(0.4):
        operands += [g.weight(32, s.dim // 2), g.weight(32, s.dim // 2)]
        attributes |= {"do_rotary": 1, "rotary_interleaved": g.pick(0, 1)}
    if g.chance(0.3):
        attributes["local_window_size"] = g.pick(1, 3, 6)
    if g.chance(0.3):
        attributes["softcap"] = g.pick(1.5, 8.0)
    if g.chance(0.2):
        attributes["scale"] = 0.4
    g.op("GroupQueryAttention", operands, [n, i, s.heads * s.dim], g.real, outputs=3, **attributes)
    for name in g.nodes[-1].output[1:]:
        g.tensors[name].dims = [n, s.groups, i, s.dim]


def rotary(g):
    """RotaryEmbedding of opset 23 or of com.microsoft."""
    if g.real != TensorProto.FLOAT:
        raise NotApplicable
    s = Heads(g, cross=False)
    x = s.apart(s.project(s.x, s.heads, s.dim), s.heads, s.dim)
    cos, sin = g.weight(32, s.dim // 2), g.weight(32, s.dim // 2)

    def ids(shape, numbers):
        return np.broadcast_to(np.arange(shape[1]) + numbers.integers(0, 9), shape).astype(np.int64)
    positions = g.input(INT, x.dims[:1] + x.dims[2:3], ids)
    if g.opset >= 23:
        g.op("RotaryEmbedding", [x, cos, sin, positions], x.dims, g.real, interleaved=g.pick(0, 1))
    else:
        g.op("RotaryEmbedding", [x, positions, cos, sin], x.dims, interleaved=g.pick(0, 1), **MICROSOFT)


def sink(g):
    """Scores with one more for each head, which takes its share of the sum and has no value."""
    s = Heads(g)
    query, key = (s.apart(s.project(x, s.heads, s.dim), s.heads, s.dim) for x in (s.x, s.y))
    value = s.apart(s.project(s.y, s.heads, s.value_dim), s.heads, s.value_dim)
    key = g.op("Transpose", [key], [key.dims[i] for i in (0, 1, 3, 2)], perm=[0, 1, 3, 2])
    n, i, j = s.x.dims[0], s.x.dims[1], s.y.dims[1]
    scores = g.op("MatMul", [query, key], [n, s.heads, i, j])
    scores = g.op("Mul", [scores, g.scalar(s.dim ** -0.5)], scores.dims)
    if g.chance(0.5):
        mask = g.input(BOOL, [n, 1, g.pick(1, i), j], g.pick(seen, rows_hidden))
        scores = g.op("Where", [mask, scores, g.scalar(g.pick(-np.inf, LOWEST[g.real]))], scores.dims, g.real)
        scores.masks = True
    column = g.axes("ReduceMin", query, [3], [n, s.heads, i, 1], 1)
    wide = total(g, j, 1)
    first = g.chance(0.3)
    more = g.op("Concat", [column, scores] if first else [scores, column], [n, s.heads, i, wide], axis=3)
    more.masks = True
    weights = g.op("Softmax", [more], more.dims, axis=-1)
    bounds = [g.constant(np.array([k], np.int64)) for k in ((1, 2 ** 63 - 1, 3) if first else (0, -1, 3))]
    shares = g.op("Slice", [weights, *bounds], [n, s.heads, i, j])
    g.op("MatMul", [shares, value], [n, s.heads, i, s.value_dim])


STEPS = {standard: 4, microsoft: 2, packed: 1, grouped: 2, rotary: 1, sink: 1}
