"""Steps of random graphs that come from layers: normalisations, windows over images, resizing, recurrences."""

import numpy as np
from onnx import TensorProto

from graphs import FLOATS, NotApplicable

INT = TensorProto.INT64


def narrow(g):
    """onnxruntime has these for f32 only."""
    if g.real != TensorProto.FLOAT:
        raise NotApplicable


def least(g, dim):
    return min(g.size(dim, which) for which in range(2))


def whole(x, at):
    """Whether dim `at` of x is a number."""
    return x.rank > at and isinstance(x.dims[at], int)


def positive_weight(g, size):
    return g.constant((0.5 + g.numbers.random(size)).astype(FLOATS[g.real]))


def channel_norm(g):
    x = g.any(lambda y: y.rank > 2 and whole(y, 1))
    channels = x.dims[1]
    scale, bias = g.weight(channels), g.weight(channels)
    kind = g.pick("BatchNormalization", "InstanceNormalization", "GroupNormalization")
    if kind == "BatchNormalization":
        g.op(kind, [x, scale, bias, g.weight(channels), positive_weight(g, channels)], x.dims)
        return
    if min(int(np.prod([g.size(dim, which) for dim in x.dims[2:]])) for which in range(2)) < 3:
        raise NotApplicable  # the variance of one number is nothing but rounding
    if kind == "InstanceNormalization":
        narrow(g)
        g.op(kind, [x, scale, bias], x.dims, epsilon=g.pick(1e-5, 1e-2))
        return
    if g.opset < 18:
        raise NotApplicable
    groups = g.pick(*[i for i in range(1, channels + 1) if channels % i == 0])
    if g.opset < 21:
        scale, bias = g.weight(groups), g.weight(groups)
    g.op(kind, [x, scale, bias], x.dims, num_groups=groups)


def row_norm(g):
    x = g.any(lambda y: y.rank > 1)
    kind = g.pick("LayerNormalization", "LpNormalization", "MeanVarianceNormalization", "RMSNormalization", "Hardmax")
    axis = g.random.randrange(x.rank)
    if kind == "Hardmax":
        narrow(g)
        x = g.any(lambda y: y.sharp and y.rank > 1)
        g.op(kind, [x], x.dims, sharp=True, axis=g.random.randrange(x.rank))
    elif kind == "LpNormalization":
        g.op(kind, [x], x.dims, axis=axis, p=g.pick(1, 2))
    elif kind == "MeanVarianceNormalization":
        axes = sorted(g.random.sample(range(x.rank), 2))
        narrow(g)
        if min(g.size(x.dims[axes[0]], which) * g.size(x.dims[axes[1]], which) for which in range(2)) < 4:
            raise NotApplicable
        wide = [axis for axis in axes if isinstance(x.dims[axis], int) and x.dims[axis] > 1]
        if not wide:
            raise NotApplicable
        # onnxruntime leaves out the operator's epsilon and gives NaN where all elements are equal.
        uneven = g.weight(x.dims[wide[0]], *[1] * (x.rank - 1 - wide[0]))
        g.op(kind, [g.op("Add", [x, uneven], x.dims)], x.dims, axes=axes)
    else:
        if not all(isinstance(dim, int) for dim in x.dims[axis:]) or np.prod(x.dims[axis:]) < 2:
            raise NotApplicable
        if kind == "RMSNormalization" and g.opset < 23:
            raise NotApplicable
        g.op(kind, [x, g.weight(*x.dims[axis:])], x.dims, axis=axis - (x.rank if g.chance(0.5) else 0), epsilon=1e-3)


def skip_norm(g):
    """com.microsoft's sums with a norm behind them; the sum is a result, too."""
    x = g.any(lambda y: y.rank == 3 and whole(y, 2) and y.dims[2] > 1)
    y = g.any(lambda z: z.dims == x.dims)
    narrow(g)
    width = x.dims[2]
    kind = g.pick("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
    operands = [x, y, g.weight(width)] + ([g.weight(width)] if kind == "SkipLayerNormalization" else [])
    if g.chance(0.5):
        operands.append(g.weight(width))
    count = g.pick(1, 4)
    g.op(kind, operands, x.dims, outputs=count, domain="com.microsoft", epsilon=1e-3)
    for name in list(g.nodes[-1].output)[1:3]:
        if count == 4:
            g.nodes[-1].output[list(g.nodes[-1].output).index(name)] = ""
            del g.tensors[name]


# --- Images -------------------------------------------------------------------------------------------
def image(g):
    """A tensor [n, channels, height, width], and the numbers of one window: kernel, strides, dilations, pads."""
    x = g.any(lambda y: y.rank == 4 and whole(y, 1) and y.dims[1] < 40)
    return x, *window(g, x.dims[2:])


def window(g, sizes):
    kernel, strides, dilations, low, high = [], [], [], [], []
    for dim in sizes:
        size = least(g, dim)
        if size == 0:
            raise NotApplicable
        kernel.append(g.random.randint(1, min(3, size)))
        strides.append(g.pick(1, 1, 2, 3))
        dilations.append(g.pick(1, 1, 2) if (kernel[-1] - 1) * 2 < size else 1)
        low.append(g.random.randint(0, kernel[-1] - 1))
        high.append(g.random.randint(0, kernel[-1] - 1))
    return kernel, strides, dilations, low + high


def after_window(dims, kernel, strides, dilations, pads, up=False):
    result = []
    for i, dim in enumerate(dims):
        slack = pads[i] + pads[len(dims) + i] - dilations[i] * (kernel[i] - 1) - 1
        if isinstance(dim, int):
            result.append((dim + slack + (strides[i] - 1 if up else 0)) // strides[i] + 1)
        else:
            result.append(f"(({dim}+{slack + (strides[i] - 1 if up else 0)})//{strides[i]}+1)")
    return result


def image_convolution(g):
    x, kernel, strides, dilations, pads = image(g)
    narrow(g)
    channels = x.dims[1]
    groups = g.pick(1, 1, *[i for i in range(1, channels + 1) if channels % i == 0])
    filters = groups * g.pick(1, 2, 5)
    weight = g.weight(filters, channels // groups, *kernel, scale=0.4)
    operands = [x, weight] + ([g.weight(filters)] if g.chance(0.6) else [])
    dims = x.dims[:2] + after_window(x.dims[2:], kernel, strides, dilations, pads)
    g.op("Conv", operands, [x.dims[0], filters, *dims[2:]], strides=strides, dilations=dilations, pads=pads,
         group=groups)


def transposed_convolution(g):
    x, kernel, strides, dilations, _ = image(g)
    narrow(g)
    channels = x.dims[1]
    groups = g.pick(1, *[i for i in range(1, channels + 1) if channels % i == 0])
    count = g.pick(1, 3)
    extra = [g.random.randint(0, stride - 1) for stride in strides]
    pads = [g.random.randint(0, (k - 1) * d) for k, d in zip(kernel, dilations)]
    dims = []
    for i, dim in enumerate(x.dims[2:]):
        slack = dilations[i] * (kernel[i] - 1) + 1 + extra[i] - 2 * pads[i]
        if (least(g, dim) - 1) * strides[i] + slack < 1:
            raise NotApplicable
        dims.append((dim - 1) * strides[i] + slack if isinstance(dim, int) else f"(({dim}-1)*{strides[i]}+{slack})")
    g.op("ConvTranspose", [x, g.weight(channels, count, *kernel, scale=0.4)], [x.dims[0], count * groups, *dims],
         strides=strides, dilations=dilations, pads=pads * 2, output_padding=extra, group=groups)


def pool(g):
    x, kernel, strides, dilations, pads = image(g)
    kind = g.pick("AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool")
    if kind != "MaxPool" or g.real == TensorProto.FLOAT16:
        narrow(g)
    if kind.startswith("Global"):
        g.op(kind, [x], x.dims[:2] + [1, 1])
        return
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if kind == "MaxPool":
        attributes["dilations"] = dilations
    else:
        dilations = [1, 1]
    up = kind != "LpPool" and not any(pads) and g.chance(0.3)
    if up:
        attributes["ceil_mode"] = 1
        if any(k < s for k, s in zip(kernel, strides)):
            raise NotApplicable  # a last window could begin behind the image
    if kind == "AveragePool":
        attributes["count_include_pad"] = int(g.chance(0.5))
    if kind == "LpPool":
        attributes["p"] = g.pick(1, 2, 3)
    g.op(kind, [x], x.dims[:2] + after_window(x.dims[2:], kernel, strides, dilations, pads, up), **attributes)


def resize(g):
    x = g.any(lambda y: y.rank == 4)
    narrow(g)
    mode = g.pick("nearest", "linear", "cubic")
    scales = [1.0, 1.0, g.pick(1.0, 2.0, 3.0), g.pick(1.0, 2.0)]
    dims = [dim if s == 1.0 else dim * int(s) if isinstance(dim, int) else f"({dim})*{int(s)}"
            for dim, s in zip(x.dims, scales)]
    where = g.pick("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners")
    if where == "align_corners" and mode == "nearest":
        raise NotApplicable  # positions fall on the middle between two
    attributes = {"nearest_mode": g.pick("floor", "round_prefer_floor")} if mode == "nearest" else {}
    g.op("Resize", [x, "", g.constant(np.array(scales, np.float32))], dims, mode=mode,
         coordinate_transformation_mode=where, **attributes)


def blocks(g):
    """DepthToSpace and SpaceToDepth."""
    x = g.any(lambda y: y.rank == 4 and whole(y, 1))
    if x.dims[1] % 4 == 0 and g.chance(0.6):
        dims = [2 * dim if isinstance(dim, int) else f"({dim})*2" for dim in x.dims[2:]]
        g.op("DepthToSpace", [x], [x.dims[0], x.dims[1] // 4, *dims], sharp=x.sharp, blocksize=2,
             mode=g.pick("DCR", "CRD"))
        return
    if not whole(x, 2) or not whole(x, 3) or x.dims[2] % 2 or x.dims[3] % 2:
        raise NotApplicable
    g.op("SpaceToDepth", [x], [x.dims[0], x.dims[1] * 4, x.dims[2] // 2, x.dims[3] // 2], sharp=x.sharp, blocksize=2)


def to_image(g):
    """[n, s, w] with w = channels * 4 as [n, channels, s, 4], or [n, 1, s, w]."""
    x = g.any(lambda y: y.rank == 3 and whole(y, 2))
    if x.dims[2] % 4 or g.chance(0.3):
        g.axes("Unsqueeze", x, [1], [x.dims[0], 1, *x.dims[1:]]).sharp = x.sharp
        return
    channels = x.dims[2] // 4
    shape = g.constant(np.array([0, 0, channels, 4], np.int64))
    y = g.op("Reshape", [x, shape], x.dims[:2] + [channels, 4], sharp=x.sharp)
    g.op("Transpose", [y], [x.dims[0], channels, x.dims[1], 4], sharp=x.sharp, perm=[0, 2, 1, 3])


# --- Recurrences --------------------------------------------------------------------------------------
def recurrence(g):
    x = g.any(lambda y: y.rank == 3 and whole(y, 2) and g.size(y.dims[0]) <= 40)
    narrow(g)
    kind, gates = g.pick(("RNN", 1), ("GRU", 3), ("LSTM", 4))
    hidden, direction = g.pick(1, 3, 8), g.pick("forward", "reverse", "bidirectional")
    ways = 2 if direction == "bidirectional" else 1
    operands = [x, g.weight(ways, gates * hidden, x.dims[2], scale=x.dims[2] ** -0.5),
                g.weight(ways, gates * hidden, hidden, scale=hidden ** -0.5)]
    operands.append(g.weight(ways, 2 * gates * hidden, scale=0.3) if g.chance(0.6) else "")
    lengths = ""
    if g.chance(0.3) and whole(x, 1):
        lengths = g.constant(g.numbers.integers(1, least(g, x.dims[0]) + 1, x.dims[1]).astype(np.int32))
    operands.append(lengths)
    if g.chance(0.4) and whole(x, 1):
        operands.append(g.weight(ways, x.dims[1], hidden))
    attributes = {"hidden_size": hidden, "direction": direction}
    if kind == "GRU":
        attributes["linear_before_reset"] = g.pick(0, 1)
    if kind == "RNN" and g.chance(0.5):
        attributes["activations"] = [g.pick("Tanh", "Relu", "Sigmoid")] * ways
    g.op(kind, operands, [x.dims[0], ways, x.dims[1], hidden], outputs=2, **attributes)
    g.tensors[g.nodes[-1].output[1]].dims = [ways, x.dims[1], hidden]


STEPS = {channel_norm: 2, row_norm: 4, skip_norm: 2, image_convolution: 3, transposed_convolution: 1, pool: 3,
         resize: 2, blocks: 2, to_image: 4, recurrence: 2}
