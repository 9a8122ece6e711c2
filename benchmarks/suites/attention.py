"""Scaled dot product attention alone: one operator, [batch, tokens, heads * head size] in and out.

Multi-head cases are com.microsoft's MultiHeadAttention, grouped ones ONNX's Attention of opset 23; engines
with another interface get the same numbers in the layout that suits them.
"""

import numpy as np
from onnx import TensorProto, helper

from case import Case, save_graph

COLUMN = "keys"
HEADS = 12
MASKS = ("none", "padding", "causal", "bias")
BIAS_LIMIT = 1024  # a bias for each head beyond this many keys is hundreds of megabytes
QUICK = {"lengths": [37, 128, 512], "sizes": [64], "masks": ["none", "padding", "causal"], "grouped": ["causal"]}
FULL = {"lengths": [16, 37, 64, 100, 128, 200, 300, 384, 512, 777, 1024, 2048, 4096],
        "sizes": [32, 64, 80, 128], "masks": list(MASKS), "grouped": ["none", "causal"]}


def heads_first(build, feeds):
    """The inputs as [batch, heads, tokens, head size], and "mask" as most libraries take it: booleans
    [batch, 1, 1, keys] or numbers [1, heads, queries, keys]."""
    arrays = {}
    for name, heads in (("query", build["heads"]), ("key", build["kv_heads"]), ("value", build["kv_heads"])):
        batch, tokens, width = feeds[name].shape
        split = feeds[name].reshape(batch, tokens, heads, width // heads)
        arrays[name] = np.ascontiguousarray(split.transpose(0, 2, 1, 3))
    if build["mask"] == "padding":
        arrays["mask"] = feeds["key_padding_mask"].astype(bool)[:, None, None, :]
    elif build["mask"] == "bias":
        arrays["mask"] = feeds["attention_bias"]
    return arrays


def tokens_first(array):
    """[batch, heads, tokens, size] as [batch, tokens, heads * size]."""
    batch, heads, tokens, size = array.shape
    return array.transpose(0, 2, 1, 3).reshape(batch, tokens, heads * size)


def _values(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype), array.shape


def fused_graph(build, feeds):
    """One node that is the whole attention."""
    heads, kv_heads = build["heads"], build["kv_heads"]
    if heads == kv_heads:
        names = ["query", "key", "value", "", "key_padding_mask", "attention_bias"]
        node = helper.make_node("MultiHeadAttention", [n if n in feeds else "" for n in names], ["output"],
                                domain="com.microsoft", num_heads=heads,
                                unidirectional=int(build["mask"] == "causal"))
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    else:
        node = helper.make_node("Attention", ["query", "key", "value"], ["output"], q_num_heads=heads,
                                kv_num_heads=kv_heads, is_causal=int(build["mask"] == "causal"))
        opsets = [helper.make_opsetid("", 23)]
    return _model([node], feeds, opsets)


def plain_graph(build, feeds):
    """MatMul, Softmax, MatMul of opset 17, as an exporter without an attention operator writes it."""
    batch, queries, width = feeds["query"].shape
    heads, group, keys = build["heads"], build["heads"] // build["kv_heads"], feeds["key"].shape[1]
    size = width // heads
    nodes, constants = [], []

    def constant(name, array):
        constants.append(helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape,
                                            array.flatten().tolist()))
        return name

    def add(operator, inputs, **attributes):
        nodes.append(helper.make_node(operator, inputs, [f"t{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def split(name, tokens, count):
        shape = constant(f"{name}_split", np.array([batch, tokens, count, size]))
        return add("Transpose", [add("Reshape", [name, shape])], perm=[0, 2, 1, 3])

    def widen(name, value):
        if group == 1:
            return value
        lone = constant(f"{name}_lone", np.array([batch, heads // group, 1, keys, size]))
        wide = constant(f"{name}_wide", np.array([batch, heads // group, group, keys, size]))
        whole = constant(f"{name}_whole", np.array([batch, heads, keys, size]))
        return add("Reshape", [add("Expand", [add("Reshape", [value, lone]), wide]), whole])

    query, key, value = split("query", queries, heads), split("key", keys, heads // group), \
        split("value", keys, heads // group)
    transposed = add("Transpose", [widen("key", key)], perm=[0, 1, 3, 2])
    scores = add("Mul", [add("MatMul", [query, transposed]), constant("scale", np.float32(size ** -0.5)[None])])
    if build["mask"] == "bias":
        scores = add("Add", [scores, "attention_bias"])
    elif build["mask"] == "causal":
        hidden = np.triu(np.full((queries, keys), -1e30, np.float32), 1)
        scores = add("Add", [scores, constant("hidden", hidden)])
    elif build["mask"] == "padding":
        shape = constant("mask_shape", np.array([batch, 1, 1, keys]))
        allowed = add("Cast", [add("Reshape", ["key_padding_mask", shape])], to=TensorProto.BOOL)
        scores = add("Where", [allowed, scores, constant("never", np.float32(-1e30)[None])])
    mixed = add("MatMul", [add("Softmax", [scores], axis=-1), widen("value", value)])
    joined = constant("joined", np.array([batch, queries, width]))
    nodes.append(helper.make_node("Reshape", [add("Transpose", [mixed], perm=[0, 2, 1, 3]), joined], ["output"]))
    return _model(nodes, feeds, [helper.make_opsetid("", 17)], constants)


def _model(nodes, feeds, opsets, constants=()):
    inputs = [helper.make_tensor_value_info(name, *_values(array)) for name, array in feeds.items()]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, feeds["query"].shape)
    graph = helper.make_graph(nodes, "attention", inputs, [output], list(constants))
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def case(heads, kv_heads, size, queries, keys, mask, batch=1):
    """One problem. Padding hides the last quarter of the keys; causal counts only the visible pairs as work."""
    rng = np.random.default_rng(keys)

    def normal(*shape):
        return rng.standard_normal(shape, np.float32)

    feeds = {"query": normal(batch, queries, heads * size), "key": normal(batch, keys, kv_heads * size),
             "value": normal(batch, keys, kv_heads * size)}
    if mask == "padding":
        feeds["key_padding_mask"] = np.tile((np.arange(keys) < keys - keys // 4).astype(np.int32), (batch, 1))
    elif mask == "bias":
        feeds["attention_bias"] = normal(1, heads, queries, keys)
    build = {"kind": "attention", "heads": heads, "kv_heads": kv_heads, "mask": mask}
    pairs = queries * (queries + 1) / 2 if mask == "causal" else queries * keys
    dims = {"heads": heads if heads == kv_heads else f"{heads}/{kv_heads}", "size": size, "mask": mask,
            "queries": queries, "keys": keys}
    return Case("attention", dims, save_graph(fused_graph(build, feeds)), feeds,
                flops=4.0 * batch * heads * pairs * size,
                traffic=sum(a.nbytes for a in feeds.values()) + feeds["query"].nbytes,
                plain_graph=save_graph(plain_graph(build, feeds)), build=build)


def cases(options):
    grid = FULL if options.full else QUICK
    heads = options.heads or [HEADS]
    for count in heads:
        for size in options.sizes or grid["sizes"]:
            lengths = options.lengths or grid["lengths"]
            for mask in options.masks or grid["masks"]:
                for keys in lengths:
                    if mask != "bias" or keys <= BIAS_LIMIT:
                        yield case(count, count, size, keys, keys, mask)
            for keys in lengths:
                yield case(count, count, size, 1, keys, "none")
            if count % 4 == 0:
                for keys in lengths:
                    for mask in grid["grouped"]:
                        yield case(count, count // 4, size, keys, keys, mask)
