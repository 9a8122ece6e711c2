"""Writes a model of linear layers [batch, seq, sizes[0]] -> ... -> [batch, seq, sizes[-1]] with random weights."""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

path, sizes = sys.argv[1], [int(size) for size in sys.argv[2:]]
rng = np.random.default_rng(0)
weights = [numpy_helper.from_array(rng.standard_normal(shape, np.float32), f"w{i}")
           for i, shape in enumerate(zip(sizes, sizes[1:]))]
nodes = [helper.make_node("MatMul", [f"x{i}", weight.name], [f"x{i + 1}"]) for i, weight in enumerate(weights)]
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "seq", size])
        for name, size in (("x0", sizes[0]), (f"x{len(weights)}", sizes[-1]))]
graph = helper.make_graph(nodes, "linears", ends[:1], ends[1:], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
