"""Random valid ONNX graphs, for differential tests (fuzz.py).

A seed decides everything: operators, shapes (symbolic dims, odd sizes, broadcasting), element type, opset. What a
graph computes is continuous in its floats, but where an operator is only given what all implementations hold in
the same bits (`sharp` below): then every implementation must agree up to rounding.
"""

import random

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LIMIT = 40000  # elements of a tensor
FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}
DTYPES = FLOATS | {TensorProto.BFLOAT16: ml_dtypes.bfloat16}


class Tensor:
    """`dims` are numbers and expressions of symbols; `sharp`: the same bits in every implementation; `masks`: may
    hold infinities or be empty, and is not for any step."""

    masks = False

    def __init__(self, name, kind, dims, sharp=False):
        self.name, self.kind, self.dims, self.sharp = name, kind, list(dims), sharp

    @property
    def rank(self):
        return len(self.dims)


class Graph:
    """A graph that grows. `sizes` are two sets of symbol values that it is run with."""

    def __init__(self, seed):
        self.seed, self.random, self.numbers = seed, random.Random(seed), np.random.default_rng(seed)
        self.opset = self.random.choice([17, 18, 20, 21, 23])
        self.real = self.random.choices(list(FLOATS), [8, 1, 1])[0]
        few = self.chance(0.3)  # queries, as in the steps of a decoder
        self.sizes = [{"n": self.pick(1, 2, 3), "s": self.random.randint(*((1, 3) if few else (4, 19))),
                       "t": self.random.randint(3, 11), "p": self.pick(0, 0, 1, 5)}
                      for _ in range(2)]
        self.symbolic = self.chance(0.75)
        # With bf16 around attention, which onnxruntime has no kernels of; or a dim that is 0 in the second run.
        self.bfloat = self.real == TensorProto.FLOAT and self.chance(0.06)
        self.empty = self.symbolic and not self.bfloat and self.chance(0.08)
        if self.empty:
            self.sizes[1][self.pick("n", "s", "t")] = 0
        self.narrows = False  # rounds to f16 somewhere, which onnxruntime may leave out
        self.nodes, self.initializers, self.inputs, self.makers = [], [], [], {}
        self.tensors, self.used, self.probabilities, self.count = {}, set(), [], 0

    # --- Chance ---
    def chance(self, p):
        return self.random.random() < p

    def pick(self, *options):
        return self.random.choice(options)

    # --- Sizes ---
    def size(self, dim, which=0):
        return dim if isinstance(dim, int) else eval(dim, {}, self.sizes[which])  # pylint: disable=eval-used

    def elements(self, dims):
        return max(int(np.prod([self.size(dim, which) for dim in dims])) for which in range(2))

    def dim(self, name):
        """A symbol, or in a static graph its size."""
        return name if self.symbolic else self.sizes[0][name]

    # --- Building ---
    def fresh(self):
        self.count += 1
        return f"t{self.count}"

    def known(self, name, kind, dims, sharp=False):
        self.tensors[name] = Tensor(name, kind, dims, sharp)
        return self.tensors[name]

    def op(self, operator, operands, dims, kind=None, sharp=False, outputs=1, **attributes):
        """Appends a node; operands are Tensors, names of initialisers, or "". Gives its (first) result."""
        if self.elements(dims) > LIMIT:
            raise TooBig
        names = [x.name if isinstance(x, Tensor) else x for x in operands]
        self.used.update(names)
        results = [self.fresh() for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, names, results, name=f"{operator}_{self.count}", **attributes))
        kind = kind or next(x.kind for x in operands if isinstance(x, Tensor))
        return [self.known(name, kind, dims, sharp) for name in results][0]

    def constant(self, array):
        name = self.fresh()
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape, scale=1.0):
        """An initialiser of the graph's float type, as a Tensor."""
        name = self.constant((scale * self.numbers.standard_normal(shape)).astype(DTYPES[self.real]))
        return Tensor(name, self.real, shape, True)

    def scalar(self, number):
        return self.constant(np.array(number, DTYPES[self.real]))

    def input(self, kind, dims, make):
        """A graph input; `make(shape, numbers)` gives a value for it."""
        name = f"x{len(self.inputs)}"
        self.inputs.append(self.known(name, kind, dims, True))
        self.makers[name] = make
        return self.inputs[-1]

    def real_input(self, dims):
        if self.real == TensorProto.BFLOAT16:
            wide = self.input(TensorProto.FLOAT, dims, lambda shape, numbers: numbers.standard_normal(shape).astype("f"))
            return self.op("Cast", [wide], dims, kind=self.real, sharp=True, to=self.real)
        dtype = FLOATS[self.real]
        return self.input(self.real, dims, lambda shape, numbers: numbers.standard_normal(shape).astype(dtype))

    def axes(self, operator, x, axes, dims, keepdims=None):
        """An operator whose axes are an operand or an attribute, as the opset has it."""
        attributes = {} if keepdims is None else {"keepdims": keepdims}
        since = 13 if operator in ("ReduceSum", "Squeeze", "Unsqueeze") else 18
        if self.opset >= since:
            return self.op(operator, [x, self.constant(np.array(axes, np.int64))], dims, **attributes)
        return self.op(operator, [x], dims, axes=axes, **attributes)

    # --- Choosing operands ---
    def any(self, accept=lambda x: True, real=True):
        """A tensor that `accept` takes, often a late one."""
        fits = [x for x in self.tensors.values() if (not real or x.kind == self.real) and not x.masks and accept(x)]
        if not fits:
            raise NotApplicable
        return fits[-1 - min(int(self.random.expovariate(0.5)), len(fits) - 1)]

    # --- The result ---
    def model(self, unfused=False):
        """The ModelProto; `unfused`: an absolute value stands behind probabilities, which no matcher looks through."""
        outputs = [x for x in self.tensors.values()
                   if (x.name not in self.used or x.name in self.extra) and x not in self.inputs
                   and x.kind in (*FLOATS, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)]
        nodes = list(self.nodes)
        for x in self.probabilities if unfused else ():
            at = next(i for i, node in enumerate(nodes) if x.name in node.output)
            maker = onnx.NodeProto()
            maker.CopyFrom(nodes[at])
            maker.output[list(maker.output).index(x.name)] = x.name + "_inside"
            nodes[at:at + 1] = [maker, helper.make_node("Abs", [x.name + "_inside"], [x.name])]
        graph = helper.make_graph(
            nodes, f"fuzz{self.seed}", [info(x) for x in self.inputs],
            [helper.make_tensor_value_info(x.name, x.kind, None) for x in outputs], self.initializers)
        return self.packed(graph)

    def packed(self, graph):
        """A GraphProto with the versions of its operators."""
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def feeds(self, which):
        numbers = np.random.default_rng(self.seed + 7 + which)
        return {x.name: self.makers[x.name](tuple(self.size(dim, which) for dim in x.dims), numbers)
                for x in self.inputs}

    extra = frozenset()

    def tensor(self, name):
        """The Tensor of a name in a model, also in front of an absolute value."""
        like = self.tensors[name.removesuffix("_inside")]
        return Tensor(name, like.kind, like.dims)


def info(x):
    """The ValueInfo of a Tensor. An expression is the name of a dim of its own."""
    return helper.make_tensor_value_info(x.name, x.kind, x.dims)


class NotApplicable(Exception):
    """No operand fits."""


class TooBig(Exception):
    """The result would have too many elements."""


def generate(seed):
    """The Graph of a seed."""
    import control  # here: these work on Graphs
    import data
    import layers
    import operators
    import steps

    graph = Graph(seed)
    known = steps.STEPS | data.STEPS | layers.STEPS | control.STEPS | operators.STEPS

    if graph.bfloat or graph.empty:
        kept = steps.CALM if graph.bfloat else steps.ANY_SIZE | set(operators.STEPS)
        known = {step: weight for step, weight in known.items() if step in kept}
    width = graph.pick(6, 8, 12, 16, 24, 33)
    graph.real_input([graph.dim("n"), graph.dim("s"), width])
    if graph.chance(0.5):
        graph.real_input(graph.pick([graph.dim("n"), graph.dim("t"), width], [graph.dim("s"), graph.pick(5, 8, 17)],
                                    [graph.dim("n"), 3, 4, graph.dim("t")], [7, 10]))
    if graph.chance(0.3):
        graph.input(TensorProto.INT64, [graph.dim("n"), graph.dim("s")],
                    lambda shape, numbers: numbers.integers(0, 11, shape))
    wanted = graph.random.randint(3, 5 if graph.bfloat else 12)
    for _ in range(60):
        if wanted == 0:
            break
        step = graph.random.choices(list(known), list(known.values()))[0]
        before = len(graph.nodes), len(graph.initializers), len(graph.inputs), dict(graph.tensors), set(graph.used)
        try:
            step(graph)
            wanted -= 1
        except (NotApplicable, TooBig):
            nodes, initializers, inputs, graph.tensors, graph.used = before
            del graph.nodes[nodes:], graph.initializers[initializers:], graph.inputs[inputs:]
            graph.probabilities = [x for x in graph.probabilities if x.name in graph.tensors]
    graph.extra = {x.name for x in graph.tensors.values() if x.name in graph.used and graph.chance(0.08)}
    return graph
