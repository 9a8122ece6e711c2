"""Scaled dot product attention alone: one operator.

Many queries come and leave as [batch, tokens, heads * head size], as the projections around attention write and
read them: com.microsoft's MultiHeadAttention, for grouped heads ONNX's Attention of opset 23. One query meets keys
and values as a decoder keeps them, [batch, heads, tokens, head size], in and out: Attention. Engines with another
interface get the same numbers in the layout that suits them.
"""

import functools

import numpy as np
from onnx import TensorProto, helper

from case import Case, aligned, save_graph

COLUMN, AXIS = "keys", "keys (tokens)"
HEADS = 12
GROUP = 4  # query heads on one of keys and values, where they are grouped
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
        array = feeds[name]
        if array.ndim == 3:
            batch, tokens, width = array.shape
            array = array.reshape(batch, tokens, heads, width // heads).transpose(0, 2, 1, 3)
        arrays[name] = array
    if build["mask"] == "padding":
        arrays["mask"] = feeds["key_padding_mask"].astype(bool)[:, None, None, :]
    elif build["mask"] == "bias":
        arrays["mask"] = feeds["attention_bias"]
    return aligned(arrays)


def as_given(build, array):
    """An output [batch, heads, tokens, size] in the layout of the case's graph."""
    if build["heads_first"]:
        return array
    batch, heads, tokens, size = array.shape
    return array.transpose(0, 2, 1, 3).reshape(batch, tokens, heads * size)


def _values(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype), array.shape


def fused_graph(build, feeds):
    """One node that is the whole attention."""
    heads, kv_heads = build["heads"], build["kv_heads"]
    if build["heads_first"]:
        node = helper.make_node("Attention", ["query", "key", "value"], ["output"])
        opsets = [helper.make_opsetid("", 23)]
    elif heads == kv_heads:
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


def cached_graph(build):
    """The same as com.microsoft's GroupQueryAttention, as decoders run it: keys and values of this step are written
    behind those of a cache that is both input and output. None for masks that it has not."""
    if build["mask"] == "causal":
        new = build["keys"]
    elif build["mask"] == "none" and build["queries"] == 1:
        new = 1
    else:
        return None
    batch, heads, kv_heads, size = build["batch"], build["heads"], build["kv_heads"], build["size"]
    real, whole, cache = TensorProto.FLOAT, TensorProto.INT32, [batch, kv_heads, build["keys"], size]
    inputs = [("query", real, [batch, build["queries"], heads * size]), ("key", real, [batch, new, kv_heads * size]),
              ("value", real, [batch, new, kv_heads * size]), ("past_key", real, cache), ("past_value", real, cache),
              ("seqlens_k", whole, [batch]), ("total_sequence_length", whole, [])]
    outputs = [("output", real, inputs[0][2]), ("present_key", real, cache), ("present_value", real, cache)]
    node = helper.make_node("GroupQueryAttention", [name for name, _, _ in inputs], [name for name, _, _ in outputs],
                            domain="com.microsoft", num_heads=heads, kv_num_heads=kv_heads)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph([node], "cached", [helper.make_tensor_value_info(*x) for x in inputs],
                              [helper.make_tensor_value_info(*x) for x in outputs])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def cached_feeds(build, feeds):
    """What cached_graph takes for the arrays `feeds` of the case. Of one query's keys all but the last are cached."""
    def tokens(array, last):  # [batch, heads, tokens, size] as [batch, tokens, heads * size]
        array = array[:, :, -last:].transpose(0, 2, 1, 3)
        return array.reshape(*array.shape[:2], -1)

    one = build["heads_first"]
    arrays = {name: tokens(feeds[name], 1) if one else feeds[name] for name in ("query", "key", "value")}
    for name in ("key", "value"):
        shape = (build["batch"], build["kv_heads"], build["keys"], build["size"])
        arrays["past_" + name] = feeds[name] if one else np.zeros(shape, np.float32)
    arrays["seqlens_k"] = np.full(build["batch"], build["keys"] - 1, np.int32)
    arrays["total_sequence_length"] = np.array(build["keys"], np.int32)
    return aligned(arrays)


def plain_graph(build, feeds):
    """MatMul, Softmax, MatMul of opset 17, as an exporter without an attention operator writes it."""
    batch, heads, queries, size = build["batch"], build["heads"], build["queries"], build["size"]
    group, keys = heads // build["kv_heads"], build["keys"]
    nodes, constants = [], []

    def constant(name, array):
        constants.append(helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape,
                                            array.flatten().tolist()))
        return name

    def add(operator, inputs, **attributes):
        nodes.append(helper.make_node(operator, inputs, [f"t{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def split(name, tokens, count):
        if build["heads_first"]:
            return name
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
    if build["heads_first"]:
        nodes[-1].output[0] = "output"
    else:
        joined = constant("joined", np.array([batch, queries, heads * size]))
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

    heads_first = queries == 1
    feeds = {}
    for name, tokens, count in (("query", queries, heads), ("key", keys, kv_heads), ("value", keys, kv_heads)):
        feeds[name] = normal(batch, count, tokens, size) if heads_first else normal(batch, tokens, count * size)
    if mask == "padding":
        feeds["key_padding_mask"] = np.tile((np.arange(keys) < keys - keys // 4).astype(np.int32), (batch, 1))
    elif mask == "bias":
        feeds["attention_bias"] = normal(1, heads, queries, keys)
    build = {"kind": "attention", "heads": heads, "kv_heads": kv_heads, "mask": mask, "batch": batch,
             "queries": queries, "keys": keys, "size": size, "heads_first": heads_first}
    pairs = queries * (queries + 1) / 2 if mask == "causal" else queries * keys
    dims = {"heads": heads if heads == kv_heads else f"{heads}/{kv_heads}", "size": size, "mask": mask,
            "queries": queries, "keys": keys}
    return Case("attention", dims, save_graph(fused_graph(build, feeds)), feeds,
                flops=4.0 * batch * heads * pairs * size,
                traffic=sum(a.nbytes for a in feeds.values()) + feeds["query"].nbytes,
                plain_graph=save_graph(plain_graph(build, feeds)), build=build)


def plan(options):
    """A function without arguments for each case, in order."""
    grid, cases = FULL if options.full else QUICK, []
    lengths = options.lengths or grid["lengths"]
    for heads in options.heads or [HEADS]:
        for size in options.sizes or grid["sizes"]:
            def add(kv_heads, mask, one_query=False):
                cases.extend(functools.partial(case, heads, kv_heads, size, 1 if one_query else keys, keys, mask)
                             for keys in lengths if mask != "bias" or keys <= BIAS_LIMIT)

            for mask in options.masks or grid["masks"]:
                add(heads, mask)
            add(heads, "none", one_query=True)
            if heads % GROUP == 0:
                for mask in grid["grouped"]:
                    add(heads // GROUP, mask)
                if options.full:
                    add(heads // GROUP, "none", one_query=True)
    return cases


def panel(dims):
    """Row and column of the picture that shows a case."""
    kind = {"none": "all keys", "padding": "key padding", "causal": "causal", "bias": "bias"}[dims["mask"]]
    if dims["queries"] == 1:
        kind = "one query"
    heads, _, grouped = str(dims["heads"]).partition("/")
    return f"{heads} heads of {dims['size']}", kind + (", grouped" if grouped else "")
