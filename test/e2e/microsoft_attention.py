"""Attention operators of com.microsoft in one-node models: every one is one attn.sdpa, and its numbers are
those of onnxruntime, or of numpy in float64 where onnxruntime's CPU kernels do not have the form.

    microsoft_attention.py --raptc R --rapt-run R [--filter TEXT]
"""

import os
import re
import tempfile

import numpy as np
import onnx
from onnx import helper

import check_model
import e2e

RNG = np.random.default_rng(0)
H, G, D = 4, 2, 16  # query heads, key and value heads, head dim


class Case:
    """One node. `operands` may hold None; `dims` names dims of operands, by index; `declared` says dims of outputs."""

    def __init__(self, name, operator, operands, outputs, attributes, dims=None, constants=(), declared=None,
                 want=None, fused=1, band=None):
        self.name, self.operator, self.operands, self.outputs = name, operator, operands, outputs
        self.attributes, self.dims, self.constants = attributes, dims or {}, constants
        self.declared, self.want, self.fused = declared or {}, want, fused
        self.band = band  # whether window_offset of attn.sdpa says the window; None: not asked

    def model(self):
        """The model and its feeds."""
        names = [f"in{i}" if array is not None else "" for i, array in enumerate(self.operands)]
        node = helper.make_node(self.operator, names, self.outputs, domain="com.microsoft", **self.attributes)
        inputs, initializers, feeds = [], [], {}
        for i, array in enumerate(self.operands):
            if array is None:
                continue
            if i in self.constants:
                initializers.append(onnx.numpy_helper.from_array(array, names[i]))
                continue
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            shape = self.dims.get(i, list(array.shape))
            inputs.append(helper.make_tensor_value_info(names[i], kind, shape))
            feeds[names[i]] = array
        kind = helper.np_dtype_to_tensor_dtype(next(iter(feeds.values())).dtype)
        results = [helper.make_tensor_value_info(name, kind, self.declared.get(name)) for name in self.outputs if name]
        graph = helper.make_graph([node], self.operator, inputs, results, initializers)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8), feeds


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int32)


def grouped(name, batch, length, lengths, total, past=None, packed=False, rotary=0, positions=None, bias=None,
            sink=None, norms=None, symbolic=True, declared=None, want=None, band=None, **attributes):
    """A GroupQueryAttention; `past` rows in the cache, `rotary` columns of cos_cache and sin_cache."""
    query, key, value = floats(batch, length, H * D), floats(batch, length, G * D), floats(batch, length, G * D)
    if packed:
        query, key, value = np.concatenate([query, key, value], 2), None, None
    cache = [floats(batch, G, past, D), floats(batch, G, past, D)] if past else [None, None]
    tables = [floats(32, rotary), floats(32, rotary)] if rotary else [None, None]
    operands = [query, key, value, *cache, ints(*lengths) - 1, ints(total), *tables, positions, bias, sink, None, None]
    operands += list(norms or ())
    while operands[-1] is None:
        operands.pop()
    dims = {}
    if symbolic:
        tokens = "tokens" if length > 1 else 1
        for i in (0, 1, 2):
            if operands[i] is not None:
                dims[i] = ["batch" if batch > 1 else 1, tokens, operands[i].shape[2]]
        dims.update({i: ["batch" if batch > 1 else 1, G, "past", D] for i in (3, 4) if past})
        dims[5] = ["batch" if batch > 1 else 1]
        if positions is not None:
            dims[9] = ["batch" if batch > 1 else 1, tokens]
    if declared:
        declared = {name: [None, G, declared if symbolic else past, D] for name in ("present_key", "present_value")}
    attributes = dict(num_heads=H, kv_num_heads=G, do_rotary=int(rotary > 0), **attributes)
    return Case("grouped " + name, "GroupQueryAttention", operands, ["y", "present_key", "present_value"], attributes,
                dims, (6, 7, 8), declared, want, band=band)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def reference(query, key, value, seen=True, bias=0.0):
    """Attention of [B, I, H, D], [B, J, G, D], [B, J, G, E] in float64, as [B, I, H * E]."""
    q, k, v = (x.astype(np.float64).transpose(0, 2, 1, 3) for x in (query, key, value))
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], 1) for x in (k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + bias
    out = softmax(np.where(seen, scores, -np.inf)) @ v
    return out.transpose(0, 2, 1, 3).reshape(q.shape[0], q.shape[2], -1).astype(np.float32)


def grouped_cases():
    for static in (False, True):
        form = dict(symbolic=not static)
        kind = "static" if static else "symbolic"
        yield grouped(f"prompt {kind}", 2, 5, [5, 3], 5, **form)
        yield grouped(f"growing {kind}", 1, 3, [8], 8, past=5, **form)
        yield grouped(f"growing rows of several lengths {kind}", 3, 1, [6, 3, 1], 6, past=5, rotary=8, **form)
        yield grouped(f"fixed cache, prompt {kind}", 2, 5, [5, 2], 5, past=9, rotary=8, declared="past", **form)
        yield grouped(f"fixed cache, next tokens {kind}", 1, 3, [7], 7, past=9, rotary=8, declared="past", **form)
        yield grouped(f"fixed cache, next token {kind}", 3, 1, [9, 4, 1], 9, past=9, declared="past", **form)
    yield grouped("packed", 2, 5, [5, 3], 5, packed=True, rotary=8)
    yield grouped("packed with past", 1, 2, [8], 8, past=6, packed=True, rotary=8)
    yield grouped("interleaved", 2, 5, [5, 5], 5, rotary=8, rotary_interleaved=1)
    yield grouped("window", 2, 7, [7, 4], 7, local_window_size=3, band=True)
    yield grouped("window with past", 1, 3, [9], 9, past=6, local_window_size=4, band=True)
    yield grouped("window, rows of several lengths", 3, 1, [7, 5, 2], 7, past=6, local_window_size=4, band=False)
    yield grouped("window, fixed cache", 2, 1, [8, 3], 8, past=9, local_window_size=2, declared="past", band=False)

    def shared(feeds):
        cache = [np.concatenate([feeds[f"in{i}"], feeds[f"in{i - 2}"].reshape(2, 3, G, D).transpose(0, 2, 1, 3)], 2)
                 for i in (3, 4)]
        i, j = np.arange(3)[:, None] + 6, np.arange(9)
        heads = [x.transpose(0, 2, 1, 3) for x in cache]
        y = reference(feeds["in0"].reshape(2, 3, H, D), *heads, (j <= i) & (j > i - 4))
        return {"y": y, "present_key": cache[0], "present_value": cache[1]}
    # onnxruntime's CPU kernel takes several tokens behind a cache for one row only.
    yield grouped("window, rows of one length", 2, 3, [9, 9], 9, past=6, local_window_size=4, symbolic=False,
                  want=shared, band=True)
    yield grouped("softcap", 2, 5, [5, 3], 5, softcap=1.5)
    yield grouped("softcap, window, scale", 1, 4, [9], 9, past=5, softcap=2.0, local_window_size=3, scale=0.4)
    yield grouped("bidirectional", 2, 5, [5, 3], 5, causal=0)
    yield grouped("positions in a prompt", 2, 4, [4, 4], 4, rotary=8,
                  positions=np.array([[3, 4, 5, 6], [3, 4, 5, 6]], np.int64))
    yield grouped("positions of next tokens", 2, 1, [6, 3], 6, past=5, rotary=8,
                  positions=np.array([[7], [2]], np.int64))
    yield grouped("bias", 2, 5, [5, 3], 5, bias=floats(1, H, 5, 5))
    yield grouped("bias for all heads, past", 1, 2, [7], 7, past=5, bias=floats(1, 1, 2, 7))
    yield grouped("bias, fixed cache", 1, 2, [7], 7, past=9, bias=floats(1, H, 2, 7), declared="past")
    yield grouped("sink", 2, 5, [5, 3], 5, sink=floats(H))
    yield grouped("sink, window, past", 1, 2, [8], 8, past=6, sink=floats(H), local_window_size=3)
    yield grouped("smooth softmax", 1, 3, [8], 8, past=5, smooth_softmax=1)

    def norms(feeds, weights):
        q, k, v = (feeds[f"in{i}"].reshape(2, 4, -1, D) for i in range(3))
        unit = lambda x: x / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-6)
        q, k = unit(q) * weights[0], unit(k) * weights[1]
        heads = lambda x: x.transpose(0, 2, 1, 3).astype(np.float32)
        return {"y": reference(q, k, v, np.tri(4, dtype=bool)), "present_key": heads(k), "present_value": heads(v)}
    weights = [floats(D), floats(D)]
    yield grouped("norms of query and key", 2, 4, [4, 4], 4, norms=weights, want=lambda feeds: norms(feeds, weights))


def multi_cases():
    batch, queries, keys, width = 2, 4, 6, H * D

    def multi(name, *more, query=None, key=None, value=None, outputs=("y",), want=None, dims=None, **attributes):
        operands = [floats(batch, queries, width) if query is None else query,
                    floats(batch, keys, width) if key is None else key,
                    floats(batch, keys, width) if value is None else value, *more]
        operands = [None if isinstance(x, str) else x for x in operands]
        return Case("multi " + name, "MultiHeadAttention", operands, list(outputs), dict(num_heads=H, **attributes),
                    dims, want=want)
    symbols = {0: ["batch", "queries", width], 1: ["batch", "keys", width], 2: ["batch", "keys", width]}
    yield multi("lengths", None, ints(6, 3), dims=symbols | {4: ["batch"]})
    yield multi("lengths and offsets", None, ints(6, 3, 0, 4, 8, 0, 6, 9))
    yield multi("mask of rank 3", None, RNG.integers(0, 2, (batch, queries, keys)).astype(np.int32),
                dims=symbols | {4: ["batch", "queries", "keys"]})
    yield multi("bias for all heads", None, None, floats(1, 1, queries, keys), dims=symbols)
    yield multi("causal, more keys", unidirectional=1)
    yield multi("causal, more keys, open", unidirectional=1, dims=symbols)
    yield multi("causal, fewer keys, open", key=floats(batch, 3, width), value=floats(batch, 3, width), unidirectional=1,
                dims=symbols)
    yield multi("causal, more keys, mask", None, ints(6, 3), unidirectional=1,
                dims=symbols | {4: ["batch"]})
    yield multi("wide values", value=floats(batch, keys, 2 * width), dims={})
    yield multi("wide values with bias", floats(4 * width), value=floats(batch, keys, 2 * width))
    yield multi("bias of the query alone", floats(3 * width), key=floats(batch, H, keys, D),
                value=floats(batch, H, keys, D))
    own = dict(key=floats(batch, queries, width), value=floats(batch, queries, width))
    past = [None, None, None, floats(batch, H, 9, D), floats(batch, H, 9, D)]
    present = ("y", "key", "value")
    yield multi("fixed cache", *past, ints(3), outputs=present, **own)
    cache = {i: ["batch", H, "rows", D] for i in (6, 7)}
    step = dict(query=floats(batch, 1, width), key=floats(batch, 1, width), value=floats(batch, 1, width))
    yield multi("fixed cache, one token", *past, ints(5), outputs=present, **step,
                dims={i: ["batch", 1, width] for i in (0, 1, 2)} | cache)
    mask = np.ones((batch, queries + 9), np.int32)
    mask[1, :4] = 0
    yield multi("mask with past", None, mask, *past[2:], outputs=present, unidirectional=1, **own,
                dims={i: ["batch", "queries", width] for i in (0, 1, 2)} | cache | {4: ["batch", "all"]})
    rows = lambda x, count: np.moveaxis(x.reshape(batch, -1, H, count, D), 3, 0)

    def packed(feeds):
        return {"y": reference(*rows(feeds["in0"], 3))}

    def packed_keys(feeds):
        return {"y": reference(feeds["in0"].reshape(batch, queries, H, D), *rows(feeds["in1"], 2))}

    def packed_with_bias(feeds):
        parts = rows(feeds["in0"], 3) + feeds["in3"].reshape(3, 1, 1, H, D)
        return {"y": reference(*parts, np.tri(queries, dtype=bool))}
    yield multi("packed", query=floats(batch, queries, H, 3, D), key="", value="", want=packed,
                dims={0: ["batch", "queries", H, 3, D]})
    yield multi("packed with bias, causal", floats(3 * width), query=floats(batch, queries, H, 3, D), key="", value="",
                want=packed_with_bias, unidirectional=1)
    yield multi("packed keys", key=floats(batch, keys, H, 2, D), value="", want=packed_keys,
                dims={0: ["batch", "queries", width], 1: ["batch", "keys", H, 2, D]})


def single_cases():
    batch, length, width = 2, 4, H * D

    def single(name, *more, columns=3 * width, outputs=("y",), want=None, dims=None, **attributes):
        operands = [0.5 * floats(batch, length, width), 0.3 * floats(width, columns), floats(columns), *more]
        return Case("single " + name, "Attention", operands, list(outputs), dict(num_heads=H, **attributes), dims,
                    want=want)
    yield single("ends and starts", ints(4, 3, 1, 0))
    yield single("ends and starts, past", ints(7, 6, 2, 0), floats(2, batch, H, 3, D), outputs=("y", "present"),
                 unidirectional=1)
    yield single("lengths and offsets", ints(4, 2, 0, 4, 8, 0, 4, 6))
    yield single("lengths", ints(4, 2), dims={0: ["batch", "length", width], 3: ["batch"]})
    yield single("empty mask", np.zeros((batch, 1), np.int32))
    yield single("wide values", columns=4 * width, qkv_hidden_sizes=[width, width, 2 * width])
    yield single("filter", np.array([[1, 0, 1, 1], [0, 0, 0, 0]], np.int32), mask_filter_value=-3e38)
    yield single("bias for all heads", None, None, floats(1, 1, length, length), unidirectional=1)

    def fixed(feeds):
        q, k, v = np.split(feeds["in0"].astype(np.float64) @ feeds["in1"] + feeds["in2"], 3, 2)
        q, k, v = (x.reshape(batch, length, H, D) for x in (q, k, v))
        present = feeds["in4"].copy()
        present[:, :, :, 3:3 + length] = np.stack([k, v]).transpose(0, 1, 3, 2, 4)
        seen = np.arange(9) <= np.arange(length)[:, None] + 3
        k, v = (x.transpose(0, 2, 1, 3) for x in present)
        return {"y": reference(q, k, v, seen), "present": present.astype(np.float32)}
    yield single("fixed cache", None, floats(2, batch, H, 9, D), None, ints(3), outputs=("y", "present"), want=fixed,
                 unidirectional=1, past_present_share_buffer=1,
                 dims={0: ["batch", "length", width], 4: [2, "batch", H, "rows", D]})


def t5_bucket(distance, both_sides, buckets, max_distance):
    """The bucket of key position - query position, as T5 defines it, in f32."""
    first = 0
    if both_sides:
        buckets //= 2
        first, distance = (buckets if distance > 0 else 0), abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    ratio = np.log(np.float32(distance) / np.float32(exact)) / np.log(np.float32(max_distance) / np.float32(exact))
    return first + min(exact + int(ratio * np.float32(buckets - exact)), buckets - 1)


def bias_cases():
    def relative(queries, keys, buckets=32, max_distance=128, **attributes):
        def want(feeds):
            rows = [[t5_bucket(j - i, attributes.get("is_bidirectional", 0), buckets, max_distance)
                     for j in range(keys)] for i in range(queries)]
            return {"y": feeds["in0"][np.array(rows)].transpose(2, 0, 1)[None]}
        return Case(f"relative bias {queries} {keys}", "RelativePositionBias",
                    [floats(buckets, H), np.array([queries], np.int64), np.array(keys, np.int64)], ["y"],
                    dict(max_distance=max_distance, **attributes), {}, (1, 2), want=want, fused=0)
    yield relative(300, 300, is_bidirectional=1)
    yield relative(40, 290)
    yield relative(1, 7, buckets=8, max_distance=6, is_bidirectional=1)

    def gated(feeds):
        q, bias, rel, weight, gate_bias, eco = (feeds[f"in{i}"].astype(np.float64) for i in range(6))
        gates = ((q + bias).reshape(2, 5, H, D).transpose(0, 2, 1, 3) @ weight + gate_bias).reshape(2, H, 5, 2, 4)
        u, r = np.moveaxis(1 / (1 + np.exp(-gates.sum(-1))), -1, 0)[..., None]
        return {"y": ((u * (r * eco - 1) + 2) * rel).astype(np.float32)}
    yield Case("gated bias", "GatedRelativePositionBias",
               [floats(2, 5, H * D), floats(H * D), floats(1, H, 5, 5), 0.2 * floats(D, 8), floats(8), floats(1, H, 1, 1)],
               ["y"], dict(num_heads=H), {0: ["batch", "length", H * D], 2: [1, H, "length", "length"]}, want=gated,
               fused=0)


class Decoder(Case):
    """GroupQueryAttention as decoders have it: lengths and their largest follow from an attention mask."""

    def __init__(self, name, batch, length, past, lengths):
        super().__init__(f"decoder {name}", "GroupQueryAttention", [], [], {})
        mask = (np.arange(length + past) < np.array(lengths)[:, None]).astype(np.int64)
        cache = lambda: floats(batch, G, past, D)
        self.feeds = dict(q=floats(batch, length, H * D), k=floats(batch, length, G * D),
                          v=floats(batch, length, G * D), past_key=cache(), past_value=cache(), mask=mask)

    def model(self):
        initializers = [onnx.numpy_helper.from_array(array, name) for name, array in (
            ("one", np.array(1)), ("axis", np.array([1])), ("cos", floats(32, 8)), ("sin", floats(32, 8)))]
        node = helper.make_node
        nodes = [
            node("Shape", ["mask"], ["dims"]), node("Gather", ["dims", "one"], ["columns"]),
            node("Cast", ["columns"], ["total"], to=onnx.TensorProto.INT32),
            node("ReduceSum", ["mask", "axis"], ["sums"], keepdims=0), node("Sub", ["sums", "one"], ["last"]),
            node("Cast", ["last"], ["lengths"], to=onnx.TensorProto.INT32),
            node("GroupQueryAttention", ["q", "k", "v", "past_key", "past_value", "lengths", "total", "cos", "sin"],
                 ["y", "present_key", "present_value"], domain="com.microsoft", num_heads=H, kv_num_heads=G,
                 do_rotary=1)]
        dims = dict(q=["batch", "seq", H * D], k=["batch", "seq", G * D], v=["batch", "seq", G * D],
                    past_key=["batch", G, "past", D], past_value=["batch", G, "past", D], mask=["batch", "total"])
        inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), dims[name])
                  for name, array in self.feeds.items()]
        outputs = [helper.make_tensor_value_info(name, 1, None) for name in ("y", "present_key", "present_value")]
        graph = helper.make_graph(nodes, "decoder", inputs, outputs, initializers)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8), self.feeds


def decoder_cases():
    yield Decoder("tokens behind a past", 1, 4, 3, [7])
    yield Decoder("next token of rows of several lengths", 3, 1, 5, [6, 4, 1])


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("--filter", default="")
    args = parser.parse_args()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for case in [*grouped_cases(), *multi_cases(), *single_cases(), *bias_cases(),
                     *decoder_cases()]:
            if re.search(args.filter, case.name):
                try:
                    print(f"{case.name}: largest difference {check_case(case, args, folder):.3g}")
                except e2e.Failure as failure:
                    failures.append(f"{case.name}: {failure}")
    if failures:
        raise e2e.Failure("\n".join(failures))


def check_case(case, args, folder):
    model, feeds = case.model()
    constants = {f"in{i}": case.operands[i] for i in case.constants if i < len(case.operands)}
    want = case.want(feeds | constants) if case.want else e2e.Oracle(model.SerializeToString()).run(feeds)
    source, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
    onnx.save(model, source)
    ir = e2e.execute([args.raptc, source, "--compile-to=fuse"])
    fused = len(re.findall(r"\battn\.sdpa\b", ir))
    if fused != case.fused:
        raise e2e.Failure(f"{fused} attn.sdpa, expected {case.fused}")
    has_band = "window_offset" in ir
    if case.band not in (None, has_band):
        raise e2e.Failure(f"{'a' if has_band else 'no'} window_offset, expected {'one' if case.band else 'none'}")
    e2e.compile_model(args.raptc, source, artifact, [f"--kernels={args.kernels}"])
    got = e2e.run_model(args.rapt_run, artifact, feeds, folder)
    return e2e.compare(got, want, check_model.TOLERANCE, case.name)


if __name__ == "__main__":
    e2e.main(check)
