"""Operators of com.microsoft in one-node models, static and with symbolic batch and length, against
onnxruntime.

    microsoft_operators.py --raptc R --rapt-run R [--filter TEXT]
"""

import os
import tempfile

import numpy as np
import onnx
from onnx import helper

import check_model
import e2e

B, S, J, HEADS, DIM = 2, 3, 5, 4, 8
WIDTH = HEADS * DIM
SYMBOLS = {B: "batch", S: "seq", J: "keys"}
RNG = np.random.default_rng(0)


def floats(*shape):
    return (0.5 * RNG.standard_normal(shape)).astype(np.float32)


def ints(high, *shape, dtype=np.int32):
    return RNG.integers(0, high, shape).astype(dtype)


def cases():
    """Yields (name, operator, feeds with None for omitted operands, outputs, attributes, names of constants)."""
    x, row = floats(B, S, WIDTH), lambda: floats(WIDTH)
    yield "gelu", "Gelu", [x], ["y"], {}, []
    yield "bias-gelu", "BiasGelu", [x, row()], ["y"], {}, []
    yield "fast-gelu", "FastGelu", [x], ["y"], {}, []
    yield "fast-gelu-bias", "FastGelu", [x, row()], ["y"], {}, []
    yield "quick-gelu", "QuickGelu", [x], ["y"], dict(alpha=1.5), []
    yield "fused-matmul", "FusedMatMul", [x, floats(B, J, WIDTH)], ["y"], dict(transB=1, alpha=0.3), []
    yield "fused-matmul-batch", "FusedMatMul", [floats(6, B, S, 8), floats(7, B, S, 8)], ["y"], \
        dict(transB=1, transBatchA=1, transBatchB=1), []
    yield "fused-matmul-turned", "FusedMatMul", [floats(S, B, 7), floats(B, S, 8)], ["y"], \
        dict(transA=1, transBatchA=1, alpha=0.5), []
    for activation, alpha, beta in (("Relu", 0.0, 0.0), ("Tanh", 0.0, 0.0), ("LeakyRelu", 0.3, 0.0), ("HardSigmoid", 0.3, 0.4)):
        yield f"fused-gemm-{activation}", "FusedGemm", [floats(B, WIDTH), floats(6, WIDTH), floats(6)], ["y"], \
            dict(transB=1, alpha=0.5, activation=activation, activation_alpha=alpha, activation_beta=beta), []
    yield "fused-gemm-no-bias", "FusedGemm", [floats(B, WIDTH), floats(WIDTH, 6)], ["y"], dict(activation="Sigmoid"), []
    yield "fused-conv", "FusedConv", [floats(B, 4, 9), floats(6, 4, 3), floats(6)], ["y"], \
        dict(kernel_shape=[3], activation="Clip", activation_params=[-0.2, 0.7]), [1]
    yield "skip-norm", "SkipLayerNormalization", [x, floats(B, S, WIDTH), row(), row(), row()], \
        ["y", "", "", "sum"], dict(epsilon=1e-5), []
    yield "skip-rms-norm", "SkipSimplifiedLayerNormalization", [x, floats(B, S, WIDTH), row(), row()], \
        ["y", "", "", "sum"], dict(epsilon=1e-5), []
    yield "skip-norm-moments", "SkipLayerNormalization", [x, floats(B, S, WIDTH), row(), row()], \
        ["y", "mean", "deviation", "sum"], {}, []
    yield "skip-rms-norm-moments", "SkipSimplifiedLayerNormalization", [x, floats(1, S, WIDTH), row()], \
        ["y", "mean", "deviation"], {}, []
    yield "rms-norm-moment", "SimplifiedLayerNormalization", [x, row()], ["y", "deviation"], {}, []
    yield "rms-norm", "SimplifiedLayerNormalization", [x, row()], ["y"], dict(axis=-1, epsilon=1e-5, stash_type=1), []
    padding = np.array([[1, 1, 1], [1, 1, 0]], np.int32)
    yield "embed", "EmbedLayerNormalization", \
        [ints(10, B, S), ints(2, B, S), floats(10, WIDTH), floats(6, WIDTH), floats(2, WIDTH), row(), row(), padding], \
        ["y", "lengths"], dict(epsilon=1e-12), []

    def attention(*more, outputs=("y",), **attributes):
        operands = [x, floats(WIDTH, 3 * WIDTH), floats(3 * WIDTH), *more]
        return "Attention", operands, list(outputs), dict(num_heads=HEADS, **attributes), []
    yield "attention", *attention()
    yield "attention-causal", *attention(unidirectional=1)
    yield "attention-mask", *attention(padding)
    yield "attention-mask-causal", *attention(padding, unidirectional=1)
    yield "attention-empty-row", *attention(np.array([[1, 1, 1], [0, 0, 0]], np.int32))
    yield "attention-empty-row-causal", *attention(np.array([[1, 1, 1], [0, 0, 1]], np.int32), unidirectional=1)
    yield "attention-lengths-static", *attention(np.array([3, 2], np.int32))
    yield "attention-mask3", *attention(ints(2, B, S, S))
    yield "attention-past", *attention(None, floats(2, B, HEADS, J, DIM), outputs=("y", "present"), unidirectional=1)
    yield "attention-bias", *attention(None, None, floats(B, HEADS, S, S))
    yield "attention-scale", *attention(scale=0.3)

    def multi(*more, keys=J, split=False, outputs=("y",), **attributes):
        key = lambda: floats(B, HEADS, keys, DIM) if split else floats(B, keys, WIDTH)
        return "MultiHeadAttention", [floats(B, S, WIDTH), key(), key(), *more], list(outputs), \
            dict(num_heads=HEADS, **attributes), []
    past = [None, None, None, floats(B, HEADS, 4, DIM), floats(B, HEADS, 4, DIM)]
    yield "multi", *multi()
    yield "multi-bias", *multi(floats(3 * WIDTH))
    yield "multi-mask", *multi(None, np.array([[1, 1, 1, 1, 0], [1, 0, 1, 1, 1]], np.int32))
    yield "multi-lengths-static", *multi(None, np.array([5, 3], np.int32))
    yield "multi-score-bias", *multi(None, None, floats(1, HEADS, S, J))
    yield "multi-split", *multi(split=True)
    yield "multi-past", *multi(*past, keys=S, outputs=("y", "key", "value"))
    yield "multi-past-causal", *multi(*past, keys=S, outputs=("y", "key", "value"), unidirectional=1)
    yield "multi-causal", *multi(keys=S, unidirectional=1)

    tables = lambda half: [floats(20, half), floats(20, half)]
    yield "rotary-offset", "RotaryEmbedding", [x, np.array([2], np.int64), *tables(4)], ["y"], {}, [2, 3]
    yield "rotary-interleaved", "RotaryEmbedding", \
        [floats(B, HEADS, S, DIM), ints(20, B, S, dtype=np.int64), *tables(4)], ["y"], dict(interleaved=1), [2, 3]
    yield "rotary-partial", "RotaryEmbedding", [x, ints(20, B, S, dtype=np.int64), *tables(2)], ["y"], \
        dict(num_heads=HEADS, rotary_embedding_dim=4), [2, 3]


def make_model(operator, operands, outputs, attributes, constants, symbolic):
    """The model and its feeds. Symbolic: dims of batch and lengths, where all operands have them."""
    names = [f"in{i}" if array is not None else "" for i, array in enumerate(operands)]
    domain = "" if operator == "SimplifiedLayerNormalization" else "com.microsoft"
    node = helper.make_node(operator, names, outputs, domain=domain, **attributes)
    inputs, initializers, feeds = [], [], {}
    for i, array in enumerate(operands):
        if array is None:
            continue
        if i in constants:
            initializers.append(onnx.numpy_helper.from_array(array, names[i]))
            continue
        shape = list(array.shape)
        if symbolic and array.ndim > 1:
            shape = [SYMBOLS.get(size, size) for size in shape]
        inputs.append(helper.make_tensor_value_info(names[i], helper.np_dtype_to_tensor_dtype(array.dtype), shape))
        feeds[names[i]] = array
    types = [onnx.TensorProto.INT32 if name == "lengths" else onnx.TensorProto.FLOAT for name in outputs]
    results = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(outputs, types) if name]
    graph = helper.make_graph([node], operator, inputs, results, initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), feeds


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("--filter", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, operator, operands, outputs, attributes, constants in cases():
            if args.filter not in name:
                continue
            for symbolic in (False, True) if not name.endswith("-static") else (False,):
                model, feeds = make_model(operator, operands, outputs, attributes, constants, symbolic)
                what = f"{name} {'symbolic' if symbolic else 'static'}"
                want = e2e.Oracle(model.SerializeToString()).run(feeds)
                source, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
                onnx.save(model, source)
                e2e.compile_model(args.raptc, source, artifact, [f"--kernels={args.kernels}"])
                got = e2e.run_model(args.rapt_run, artifact, feeds, folder)
                print(f"{what}: largest difference {e2e.compare(got, want, check_model.TOLERANCE, what):.3g}")


if __name__ == "__main__":
    e2e.main(check)
