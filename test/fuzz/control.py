"""Steps of random graphs with graphs inside: If, Loop and Scan; lists."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from graphs import FLOATS
from steps import plus, product

INT, BOOL = TensorProto.INT64, TensorProto.BOOL


def value(g, name, dims=None, kind=None):
    return helper.make_tensor_value_info(name, kind or g.real, dims)


def body(g, nodes, inputs, outputs, constants=()):
    """A subgraph; `constants` are pairs of a name and a number."""
    weights = [numpy_helper.from_array(np.array(number, FLOATS[g.real]), name) for name, number in constants]
    return helper.make_graph(nodes, "body", inputs, outputs, weights)


def conditional(g):
    """Two ways to the same shape; both read tensors of the graph around them."""
    x = g.any()
    y = g.any(lambda z: z.dims == x.dims)
    sharp = g.any(lambda z: z.sharp and z.rank > 0)
    top = g.axes("ReduceMax", sharp, list(range(sharp.rank)), [], 0)
    yes = g.op("Greater", [top, g.scalar(g.pick(0.5, 1.9, 2.2))], [], BOOL, True)
    ways = []
    for branch in range(2):
        out, between = g.fresh(), g.fresh()
        kind, operands = g.pick(("Add", [between, y.name]), ("Sub", [y.name, between]), ("Max", [between, x.name]))
        last = helper.make_node(kind, operands, [out])
        first = helper.make_node(g.pick("Tanh", "Neg", "Sigmoid"), [x.name], [between])
        ways.append(body(g, [first, last], [], [value(g, out)]))
    g.used.update((x.name, y.name))
    g.op("If", [yes], x.dims, g.real, then_branch=ways[0], else_branch=ways[1])


def loop(g):
    """A state that is damped and fed with a tensor of the graph, and its values stacked."""
    x = g.any(lambda y: y.rank > 0)
    y = g.any(lambda z: z.dims == x.dims)
    steps = g.random.randint(1, 4)
    i, go, state, after, wet, half, scaled, again = (g.fresh() for _ in range(8))
    nodes = [helper.make_node("Tanh", [state], [wet]), helper.make_node("Mul", [wet, half], [scaled]),
             helper.make_node("Add", [scaled, y.name], [after]), helper.make_node("Identity", [go], [again])]
    outputs = [value(g, again, [], BOOL), value(g, after)]
    stacks = g.chance(0.5)
    if stacks:
        nodes.append(helper.make_node("Neg", [scaled], [scaled + "n"]))
        outputs.append(value(g, scaled + "n"))
    inputs = [value(g, i, [], INT), value(g, go, [], BOOL), value(g, state)]
    g.used.add(y.name)
    trips, yes = g.constant(np.array(steps, np.int64)), g.constant(np.array(True))
    g.op("Loop", [trips, yes, x], x.dims, outputs=1 + stacks, body=body(g, nodes, inputs, outputs, [(half, 0.6)]))
    if stacks:
        g.tensors[g.nodes[-1].output[1]].dims = [steps, *x.dims]


def scan(g):
    """Along the first or second dim of a tensor, forwards or backwards, with a state made of its last rows."""
    x = g.any(lambda y: y.rank > 1 and g.size(y.dims[0]) <= 40)
    axis = g.pick(0, 1)
    row = x.dims[:axis] + x.dims[axis + 1:]
    state = g.axes("ReduceMax", x, [axis], row, 0)
    old, line, new, mixed, out, half = (g.fresh() for _ in range(6))
    nodes = [helper.make_node("Mul", [old, half], [mixed]), helper.make_node("Add", [mixed, line], [new]),
             helper.make_node(g.pick("Sigmoid", "Neg"), [new], [out])]
    graph = body(g, nodes, [value(g, old), value(g, line)], [value(g, new), value(g, out)], [(half, 0.4)])
    at = g.pick(0, axis)
    g.op("Scan", [state, x], row, outputs=2, body=graph, num_scan_inputs=1, scan_input_axes=[axis],
         scan_output_axes=[at], scan_input_directions=[int(g.chance(0.4))], scan_output_directions=[int(g.chance(0.3))])
    stacked = list(row)
    stacked.insert(at, x.dims[axis])
    g.tensors[g.nodes[-1].output[1]].dims = stacked


def growing(g):
    """A loop over the rows of a tensor that adds to a list or makes a tensor longer, by one or two elements."""
    x = g.any(lambda y: y.rank > 1 and g.size(y.dims[0]) <= 40)
    row, some = x.dims[1:], g.any(lambda y: y.dims == x.dims)
    first, along = g.constant(np.array(0)), g.constant(np.array([0]))
    extent = g.op("Shape", [x], [1], INT, True, start=0, end=1)
    trips = g.op("Squeeze", [extent, along], [], INT, True)
    start = g.op("Gather", [some, first], row, axis=0)
    several, is_list = g.chance(0.4), g.chance(0.5)
    axis = g.random.randrange(len(row) + 1 if is_list else len(row))
    i, go, again, before, after, line, new = (g.fresh() for _ in range(7))
    nodes = [helper.make_node("Gather", [x.name, i], [line]), helper.make_node(g.pick("Tanh", "Neg"), [line], [new]),
             helper.make_node("Identity", [go], [again])]
    added = [new, line] if several else [new]
    g.used.add(x.name)
    if is_list:
        names = [before, *(g.fresh() for _ in added[1:]), after]
        nodes += [helper.make_node("SequenceInsert", [old, one], [longer])
                  for old, one, longer in zip(names, added, names[1:])]
        lists = [onnx.ValueInfoProto(name=name) for name in (before, after)]
        start = g.op("SequenceConstruct", [start], [0])
    else:
        nodes.append(helper.make_node("Concat", [before, *added], [after], axis=axis))
        lists = [value(g, before), value(g, after)]
    inside = body(g, nodes, [value(g, i, [], INT), value(g, go, [], BOOL), lists[0]],
                  [value(g, again, [], BOOL), lists[1]])
    count, dims = product([x.dims[0], len(added)]), list(row)
    if is_list:
        dims.insert(axis, plus(count, 1))
    else:
        dims[axis] = plus(product([count, row[axis]]), row[axis])
    yes = g.constant(np.array(True))
    grown = g.op("Loop", [trips, yes, start], [0] if is_list else dims, g.real, body=inside)
    if is_list:
        g.op("ConcatFromSequence", [grown], dims, axis=axis, new_axis=1)
        for sequence in (start, grown):
            del g.tensors[sequence.name]


STEPS = {conditional: 1, loop: 1, scan: 1, growing: 1}
