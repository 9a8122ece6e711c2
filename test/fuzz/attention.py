"""The attention step of random graphs: projections, heads, scales, caps and masks, in the forms that exporters write."""

import numpy as np
from onnx import TensorProto

from graphs import DTYPES, FLOATS, NotApplicable

INT, BOOL = TensorProto.INT64, TensorProto.BOOL
LOWEST = {TensorProto.FLOAT: -3.4028234663852886e38, TensorProto.FLOAT16: -65504.0, TensorProto.DOUBLE: -1.7e308,
          TensorProto.BFLOAT16: -3.3895313892515355e38}


def attention(g):
    """Self, cross or grouped attention on a tensor [batch, length, width]."""
    fits = lambda y: y.rank == 3 and isinstance(y.dims[2], int) and g.size(y.dims[1]) <= 40
    x = g.any(fits)
    y = x if g.chance(0.6) else g.any(lambda y: fits(y) and y.dims[0] == x.dims[0])
    site, before = Site(g, x, y), set(g.tensors)
    out = in_bfloat(g, site) if g.bfloat else site.build()
    if site.hides_rows:
        keep_apart(g, before)
    elif g.chance(0.5):
        width = out.dims[2]
        out = g.op("MatMul", [out, g.weight(width, x.dims[2], scale=width ** -0.5)], out.dims[:2] + [x.dims[2]])
        if g.chance(0.7):
            g.op("Add", [x, out], out.dims)


def in_bfloat(g, site):
    """The result of a Site in bf16, as f32."""
    own, g.real = g.real, TensorProto.BFLOAT16
    try:
        same = site.x is site.y
        site.x = g.op("Cast", [site.x], site.x.dims, kind=g.real, to=g.real)
        site.y = site.x if same else g.op("Cast", [site.y], site.y.dims, kind=g.real, to=g.real)
        out = site.build()
    finally:
        g.real = own
    return g.op("Cast", [out], out.dims, kind=own, to=own)


def keep_apart(g, before):
    """No step reads the tensors that are made since there were `before`: they may hold NaN."""
    for name in set(g.tensors) - before:
        g.tensors[name].masks |= g.tensors[name] not in g.inputs


class Site:
    """One attention of queries from `x` and keys and values from `y`."""

    def __init__(self, g, x, y):
        self.g, self.x, self.y = g, x, y
        self.heads = g.pick(1, 2, 3, 4, 6)
        self.groups = g.pick(*[i for i in range(1, self.heads + 1) if self.heads % i == 0])
        if g.chance(0.5):
            self.groups = self.heads
        self.dim, self.value_dim = g.pick(4, 5, 8, 16), g.pick(4, 8, 11)
        if g.chance(0.6):
            self.value_dim = self.dim
        self.scores = [x.dims[0], self.heads, x.dims[1], y.dims[1]]
        self.may_hide_rows = g.chance(0.3)  # every key of some queries may be excluded
        self.hides_rows = False

    def build(self):
        g = self.g
        query = self.project(self.x, self.heads, self.dim)
        key = self.project(self.y, self.groups, self.dim)
        value = self.repeat(self.project(self.y, self.groups, self.value_dim))
        before, behind, after = g.pick((1, 1, self.dim ** -0.5), (self.dim ** -0.5, 1, 1), (self.dim ** -0.25,) * 2 + (1,),
                                       (1, 1, 0.3), (1, 1, 1))
        query = self.scaled(query, before)
        key = self.scaled(self.repeat(key), behind)
        merges = g.chance(0.2)
        key = g.op("Transpose", [key], [key.dims[i] for i in (0, 1, 3, 2)], perm=[0, 1, 3, 2])
        if merges:
            query, key, value = (self.merged(t) for t in (query, key, value))
        scores = g.op("MatMul", [query, key], query.dims[:-1] + key.dims[-1:])
        if merges:
            scores = self.unmerged(scores, self.scores)
        scores = self.scaled(scores, after)
        if g.chance(0.2):
            cap = g.pick(1.5, 8.0)
            small = g.op("Div", [scores, g.scalar(cap)], scores.dims)
            scores = g.op("Mul", [g.op("Tanh", [small], scores.dims), g.scalar(cap)], scores.dims)
        before, own = set(g.tensors), g.real
        scores, guarded, kind = self.masked_in_another_type(scores) if g.chance(0.2) else (*self.masked(scores), own)
        keep_apart(g, before)
        weights = g.op("Softmax", [scores], scores.dims, axis=g.pick(-1, 3))
        g.probabilities.append(weights)
        if kind != own:
            weights.masks = True
            weights = g.op("Cast", [weights], scores.dims, kind=own, to=own)
        if guarded:
            bad = g.op("IsNaN", [weights], scores.dims, BOOL)
            weights = g.op("Where", [bad, g.scalar(0.0), weights], scores.dims, g.real)
        if g.chance(0.1):
            weights = g.op("Dropout", [weights], scores.dims)
        if merges:
            weights = self.merged(weights)
        out = g.op("MatMul", [weights, value], weights.dims[:-1] + value.dims[-1:])
        if merges:
            out = self.unmerged(out, self.scores[:3] + [self.value_dim])
        out = g.op("Transpose", [out], [out.dims[i] for i in (0, 2, 1, 3)], perm=[0, 2, 1, 3])
        shape = g.constant(np.array([0, 0, self.heads * self.value_dim], np.int64))
        return g.op("Reshape", [out, shape], out.dims[:2] + [self.heads * self.value_dim])

    # --- Heads ---
    def project(self, x, heads, dim):
        """x [n, s, w] as [n, heads, s, dim]."""
        g, width = self.g, x.dims[2]
        y = g.op("MatMul", [x, g.weight(width, heads * dim, scale=width ** -0.5)], x.dims[:2] + [heads * dim])
        if g.chance(0.6):
            y = g.op("Add", [g.weight(heads * dim, scale=0.1), y], y.dims)
        y = g.op("Reshape", [y, g.constant(np.array([0, 0, heads, dim if g.empty else g.pick(dim, -1)], np.int64))], x.dims[:2] + [heads, dim])
        return g.op("Transpose", [y], [x.dims[0], heads, x.dims[1], dim], perm=[0, 2, 1, 3])

    def repeat(self, x):
        """Every head of x as often as there are query heads for it."""
        g, count = self.g, self.heads // self.groups
        if count == 1:
            return x
        wide = g.axes("Unsqueeze", x, [2], x.dims[:2] + [1] + x.dims[2:])
        wide = g.op("Expand", [wide, g.constant(np.array([1, 1, count, 1, 1], np.int64))], x.dims[:2] + [count] + x.dims[2:])
        shape = g.constant(np.array([0, self.heads, -1, x.dims[3]], np.int64))
        return g.op("Reshape", [wide, shape], [x.dims[0], self.heads] + x.dims[2:])

    def scaled(self, x, factor):
        g = self.g
        if factor == 1:
            return x
        if g.chance(0.5):
            return g.op("Mul", g.pick([x, g.scalar(factor)], [g.scalar(factor), x]), x.dims, g.real)
        return g.op("Div", [x, g.scalar(1 / factor)], x.dims)

    def shape_of(self, x, *parts):
        """A shape of numbers and dims ("2" is dim 2) of x."""
        g = self.g
        shape = g.op("Shape", [x], [x.rank], INT, True)
        pieces = [g.op("Gather", [shape, g.constant(np.array([int(p)], np.int64))], [1], INT, True, axis=0)
                  if isinstance(p, str) else g.constant(np.array([p], np.int64)) for p in parts]
        return g.op("Concat", pieces, [len(parts)], INT, True, axis=0)

    def merged(self, x):
        """[n, h, i, d] as [n * h, i, d]."""
        dims = [f"({x.dims[0]})*{x.dims[1]}"] + x.dims[2:]
        return self.g.op("Reshape", [x, self.shape_of(x, -1, "2", "3")], dims)

    def unmerged(self, x, dims):
        return self.g.op("Reshape", [x, self.shape_of(x, -1, self.heads, "1", "2")], dims)

    # --- Masks ---
    def masked(self, scores):
        """The scores with up to two masks, and whether a NaN guard follows. No mask excludes the first key, but where
        all keys of some rows are to be excluded."""
        g = self.g
        forms = [self.additive, self.padding, self.where_padding, self.causal, self.constant_bias]
        # Where all keys of a query are excluded, 16 bits leave nothing of its scores, and onnxruntime, which computes
        # in f32, keeps some.
        if g.real in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
            self.may_hide_rows = False
        else:
            forms += [self.window, self.band]
        guarded, chosen = False, g.random.sample(forms, g.random.choices([0, 1, 2], [3, 5, 3])[0])
        self.hides_rows |= self.band in chosen and len(chosen) > 1
        for form in chosen:
            scores = form(scores)
            guarded = guarded or g.chance(0.15)
        return scores, guarded

    def masked_in_another_type(self, scores):
        """The same between casts: the second one may stand behind the softmax. Gives the type of the scores, too."""
        g, own = self.g, self.g.real
        wide = g.pick(*[kind for kind in FLOATS if kind != own])
        g.real = wide  # for constants and inputs
        g.narrows |= wide == TensorProto.FLOAT16
        try:
            scores = g.op("Cast", [scores], scores.dims, kind=wide, to=wide)
            scores, guarded = self.masked(scores)
        finally:
            g.real = own
        if g.chance(0.5):
            return scores, False, wide
        return g.op("Cast", [scores], scores.dims, kind=own, to=own), guarded, own

    def additive(self, scores):
        g = self.g
        n, h, i, j = self.scores
        dims = g.pick([n, 1, 1, j], [n, 1, i, j], [i, j], [1, h, i, j])
        return g.op("Add", [scores, g.real_input(dims)], scores.dims)

    def keys_seen(self):
        """A graph input [n, j] of 1 and 0."""
        empties = self.may_hide_rows
        self.hides_rows |= empties

        def make(shape, numbers):
            mask = (numbers.random(shape) < 0.7).astype(np.int64)
            mask[:, :1] = 1
            if empties:
                mask[numbers.random(shape[0]) < 0.5] = 0
            return mask
        return self.g.input(INT, [self.scores[0], self.scores[3]], make)

    def padding(self, scores):
        """(1 - mask) * lowest, added."""
        g, mask = self.g, self.keys_seen()
        wide = g.axes("Unsqueeze", mask, [1, 2], [mask.dims[0], 1, 1, mask.dims[1]])
        real = g.op("Cast", [wide], wide.dims, g.real, True, to=g.real)
        low = g.scalar(g.pick(LOWEST[g.real], -10000.0))
        bias = g.op("Mul", [g.op("Sub", [g.scalar(1.0), real], wide.dims, g.real), low], wide.dims)
        return g.op("Add", [scores, bias], scores.dims)

    def sentinel(self):
        return self.g.scalar(self.g.pick(-np.inf, LOWEST[self.g.real]))

    def where_padding(self, scores):
        g, mask = self.g, self.keys_seen()
        seen = g.op("Cast", [mask], mask.dims, BOOL, True, to=BOOL)
        seen = g.axes("Unsqueeze", seen, [1, 2], [mask.dims[0], 1, 1, mask.dims[1]])
        return self.exclude(scores, seen)

    def exclude(self, scores, seen):
        g = self.g
        if g.chance(0.5):
            bias = g.op("Where", [seen, g.scalar(0.0), self.sentinel()], seen.dims, g.real, True)
            return g.op("Add", [scores, bias], scores.dims)
        if g.chance(0.5):
            hidden = g.op("Not", [seen], seen.dims, BOOL, True)
            return g.op("Where", [hidden, self.sentinel(), scores], scores.dims, g.real)
        return g.op("Where", [seen, scores, self.sentinel()], scores.dims, g.real)

    def positions(self, axis, dim):
        """0, 1, ... along `axis` of two dims."""
        g, x = self.g, (self.x, self.y)[axis]
        shape = g.op("Shape", [x], [3], INT, True)
        count = g.op("Gather", [shape, g.constant(np.array(1, np.int64))], [], INT, True, axis=0)
        zero, one = (g.constant(np.array(i, np.int64)) for i in (0, 1))
        line = g.op("Range", [zero, count, one], [dim], INT, True)
        return g.axes("Unsqueeze", line, [1 - axis], [dim, 1] if axis == 0 else [1, dim])

    def causal(self, scores):
        g = self.g
        i, j = self.scores[2:]
        if g.chance(0.5) and isinstance(i, int) and isinstance(j, int):
            triangle = np.where(np.tri(i, j, dtype=bool), 0, g.pick(-np.inf, LOWEST[g.real])).astype(DTYPES[g.real])
            return g.op("Add", [scores, g.constant(triangle)], scores.dims)
        seen = g.op("LessOrEqual", [self.positions(1, j), self.positions(0, i)], [i, j], BOOL, True)
        return self.exclude(scores, seen)

    def window(self, scores):
        """The first key, and those at most two behind a query."""
        g = self.g
        i, j = self.scores[2:]
        row, column = self.positions(0, i), self.positions(1, j)
        least = g.op("Sub", [row, g.constant(np.array(2, np.int64))], [i, 1], INT, True)
        near = g.op("GreaterOrEqual", [column, least], [i, j], BOOL, True)
        first = g.op("Equal", [column, g.constant(np.array(0, np.int64))], [1, j], BOOL, True)
        return self.exclude(scores, g.op("Or", [near, first], [i, j], BOOL, True))

    def band(self, scores):
        """Keys less than some places behind a query, and perhaps before it. More queries than keys have rows without."""
        g = self.g
        i, j = self.scores[2:]
        longest = max(g.size(i, which) - g.size(j, which) for which in range(2))
        width = g.pick(1, 3, 6) + (0 if self.may_hide_rows else max(0, longest))
        self.hides_rows |= width <= longest
        behind = g.op("Sub", [self.positions(0, i), self.positions(1, j)], [i, j], INT, True)
        most = g.constant(np.array(width, np.int64))
        if g.chance(0.5):
            near = g.op("LessOrEqual", [g.op("Abs", [behind], [i, j], INT, True), most], [i, j], BOOL, True)
        else:
            near = g.op("Less", [behind, most], [i, j], BOOL, True)
            past = g.op("GreaterOrEqual", [behind, g.constant(np.array(0, np.int64))], [i, j], BOOL, True)
            near = g.op("And", [near, past], [i, j], BOOL, True)
        return self.exclude(scores, near)

    def constant_bias(self, scores):
        g = self.g
        if not all(isinstance(dim, int) for dim in self.scores[2:]):
            raise NotApplicable
        return g.op("Add", [scores, g.weight(1, self.heads, *self.scores[2:])], scores.dims)
