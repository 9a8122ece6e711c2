"""Any ONNX encoder as a case: inputs made up from its signature, work counted from the sizes of its matrix
products."""

import math
import os

import numpy as np
import onnx

from case import Case

IDS = 100  # token ids are drawn below this, which every vocabulary has


def _sizes(value, batch, seq):
    """The dims of an input: the first free one is the batch, others are the length."""
    dims, free = [], [batch]
    for dim in value.type.tensor_type.shape.dim:
        if dim.HasField("dim_value"):
            dims.append(dim.dim_value)
        else:
            dims.append(free.pop() if free else seq)
    return dims


def _made_up(value, dims, rng):
    """Masks are ones, types of tokens zeros, positions count, other integers are token ids."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    name = value.name.lower()
    if "mask" in name:
        return np.ones(dims, dtype)
    if "position" in name:
        return np.broadcast_to(np.arange(dims[-1], dtype=dtype), dims).copy()
    if "type" in name or "segment" in name:
        return np.zeros(dims, dtype)
    if dtype.kind in "iu":
        return rng.integers(0, IDS, dims).astype(dtype)
    return rng.standard_normal(dims).astype(dtype)


def flops(graph, feeds):
    """Operations of all MatMul and Gemm nodes of the file `graph` for these inputs: onnxruntime computes the
    model once with their operands as outputs."""
    import onnxruntime

    model = onnx.load(graph)
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    constants = {t.name: list(t.dims) for t in model.graph.initializer}
    known = {**constants, **{name: list(array.shape) for name, array in feeds.items()}}
    asked = {name for node in products for name in (node.input[0], node.output[0])} - set(known)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(asked)
                              if all(name != output.name for output in model.graph.output))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    asked = sorted(asked)
    known.update((name, list(a.shape)) for name, a in zip(asked, session.run(asked, feeds) if asked else ()))
    total = 0.0
    for node in products:
        turned = any(a.name == "transA" and a.i for a in node.attribute)
        total += 2.0 * math.prod(known[node.output[0]]) * known[node.input[0]][0 if turned else -1]
    return total


def case(path, batch, seq):
    """The model at `path` on `batch` sequences of `seq` tokens."""
    model = onnx.load(path, load_external_data=False)
    constants = {t.name for t in model.graph.initializer}
    rng = np.random.default_rng(seq)
    feeds = {v.name: _made_up(v, _sizes(v, batch, seq), rng) for v in model.graph.input if v.name not in constants}
    weights = sum(4 * math.prod(t.dims) for t in model.graph.initializer if len(t.dims) > 1)
    name = os.path.splitext(os.path.basename(path))[0]
    return Case("encoder", {"model": name, "batch": batch, "seq": seq}, os.path.abspath(path), feeds,
                flops=flops(path, feeds), traffic=float(weights), build={"kind": "graph"})
