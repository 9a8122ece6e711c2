"""make_attention.py MODEL BATCH HEADS KEYS HEAD_DIM: one Attention of static sizes."""

import sys

import onnx
from onnx import TensorProto, helper

shape = [int(size) for size in sys.argv[2:]]
query, key, value, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                             for name in ("query", "key", "value", "result"))
node = helper.make_node("Attention", ["query", "key", "value"], ["result"])
graph = helper.make_graph([node], "attention", [query, key, value], [result])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), sys.argv[1])
