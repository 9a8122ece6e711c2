"""Linear layers with bias, and with GELU, in the sizes of MiniLM and BERT-base; weights come from memory.

A run computes as many equal layers as fill twice the last cache with weights, each from an input of its own
name but with the same array, so that the input is warm and no two layers may become one product.
"""

import functools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from case import Case, save_graph
from machine import last_cache_bytes

COLUMN, AXIS = "rows", "rows (tokens)"
COLD_BYTES = 64 << 20
# (inputs, outputs, GELU): projections, the two feed-forward layers
QUICK = {"layers": [(768, 3072, True), (3072, 768, False), (384, 1536, True)], "rows": [1, 37, 128]}
FULL = {"layers": [(768, 768, False), (768, 2304, False), (768, 3072, False), (768, 3072, True),
                   (3072, 768, False), (384, 384, False), (384, 1152, False), (384, 1536, False),
                   (384, 1536, True), (1536, 384, False)],
        "rows": [1, 8, 32, 37, 100, 128, 512]}


def parse_layer(text):
    """"768x3072+gelu" as (768, 3072, True)."""
    sizes, _, epilogue = text.partition("+")
    inputs, _, outputs = sizes.partition("x")
    if not (inputs.isdigit() and outputs.isdigit() and epilogue in ("", "gelu")):
        raise ValueError(f"layer '{text}': expected INPUTSxOUTPUTS or INPUTSxOUTPUTS+gelu")
    return int(inputs), int(outputs), bool(epilogue)


def graph(rows, inputs, outputs, gelu, copies):
    """`copies` of MatMul + Add [+ Gelu] with weights of their own."""
    rng = np.random.default_rng(inputs + outputs)
    nodes, weights, given, made = [], [], [], []
    for i in range(copies):
        scale = np.float32(inputs ** -0.5)
        weight, bias = (rng.standard_normal(shape, np.float32) for shape in ((inputs, outputs), outputs))
        weights.append(numpy_helper.from_array(scale * weight, f"w{i}"))
        weights.append(numpy_helper.from_array(bias, f"b{i}"))
        last = f"z{i}" if gelu else f"y{i}"
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"p{i}"]))
        nodes.append(helper.make_node("Add", [f"p{i}", f"b{i}"], [last]))
        if gelu:
            nodes += gelu_nodes(last, i)
        given.append(helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, [rows, inputs]))
        made.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [rows, outputs]))
    if gelu:
        weights += [numpy_helper.from_array(np.float32(value), name)
                    for name, value in (("root", 2 ** 0.5), ("one", 1), ("half", 0.5))]
    body = helper.make_graph(nodes, "linears", given, made, weights)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def gelu_nodes(value, i):
    """GELU with erf as exporters before opset 20 write it, which every engine knows."""
    return [helper.make_node("Div", [value, "root"], [f"d{i}"]), helper.make_node("Erf", [f"d{i}"], [f"e{i}"]),
            helper.make_node("Add", [f"e{i}", "one"], [f"a{i}"]),
            helper.make_node("Mul", [value, f"a{i}"], [f"m{i}"]),
            helper.make_node("Mul", [f"m{i}", "half"], [f"y{i}"])]


def case(rows, inputs, outputs, gelu, cold_bytes):
    weights = 4 * (inputs + 1) * outputs
    copies = max(1, -(-cold_bytes // weights))
    x = np.random.default_rng(rows).standard_normal((rows, inputs), np.float32)
    traffic = copies * (weights + 4 * rows * (inputs + outputs))
    return Case("gemm", {"layer": f"{inputs}x{outputs}" + ("+gelu" if gelu else ""), "rows": rows},
                save_graph(graph(rows, inputs, outputs, gelu, copies)), {f"x{i}": x for i in range(copies)},
                flops=2.0 * copies * rows * inputs * outputs, traffic=traffic, copies=copies,
                build={"kind": "gemm", "gelu": gelu})


def plan(options):
    """A function without arguments for each case, in order."""
    grid = FULL if options.full else QUICK
    cold = options.cold_bytes if options.cold_bytes is not None else max(COLD_BYTES, 2 * last_cache_bytes())
    layers = map(parse_layer, options.layers) if options.layers else grid["layers"]
    return [functools.partial(case, rows, *layer, cold)
            for layer in layers for rows in options.lengths or grid["rows"]]


def panel(dims):
    """Row and column of the picture that shows a case."""
    return "", dims["layer"]
