"""Models as onnxruntime's optimisers rewrite them: compiled, fully fused, and equal to the original.

    optimised_models.py --raptc R --rapt-run R --models test/models [--filter TEXT]

Each case is a model and an optimiser: `extended` and `all` are levels of onnxruntime's session, `transformers` is
onnxruntime.transformers.optimizer alone. The original, unoptimised in onnxruntime, gives the numbers.
"""

import contextlib
import io
import logging
import os
import re
import tempfile

import numpy as np
import onnx
import onnxruntime

import check_model
import e2e

LEVELS = {"basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
          "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL}

ENCODER = {"batch": 2, "seq": 11}
DECODER = ENCODER | {"past": 5, "total": 16}
CASES = [
    ("bert-eager-dynamo20", "extended", ENCODER),  # FusedMatMul, BiasGelu, SkipLayerNormalization, FusedGemm
    ("bert-sdpa-ts14", "all", ENCODER),  # LayerNormalization below opset 17
    ("bert-gelu-new-eager-ts17", "extended", ENCODER),  # FastGelu
    ("opt-past-sdpa-dynamo18", "extended", DECODER),  # FusedGemm with Relu
    ("llama-past-sdpa-dynamo18", "all", DECODER),
    ("gpt2-past-sdpa-dynamo18", "transformers gpt2", DECODER),
    ("mistral-past-sdpa-dynamo18", "extended", DECODER),
    ("distilbert-sdpa-dynamo18", "transformers bert", ENCODER),  # EmbedLayerNormalization
    ("bert-classifier-eager-ts17", "transformers bert", ENCODER),
]


def optimise(source, optimiser, target):
    """Writes the optimised model to `target`."""
    if optimiser in LEVELS:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = LEVELS[optimiser]
        options.optimized_model_filepath = target
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        return
    from onnxruntime.transformers import optimizer

    # Needs sympy; the fusions do without.
    optimizer.BertOnnxModel.infer_runtime_shape = lambda *_, **__: None
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        optimizer.optimize_model(source, model_type=optimiser.split()[1], opt_level=0).save_model_to_file(target)


def check_case(name, optimiser, dims, args, folder):
    source = os.path.join(args.models, f"{name}.onnx")
    target, artifact = os.path.join(folder, "optimised.onnx"), os.path.join(folder, "optimised.so")
    optimise(source, optimiser, target)
    original = onnx.load(source)
    changed = sorted({node.op_type for node in onnx.load(target).graph.node if node.domain == "com.microsoft"})
    sites = sum(node.op_type == "Softmax" for node in original.graph.node)
    fused = len(re.findall(r"\battn\.sdpa\b", e2e.execute([args.raptc, target, "--compile-to=fuse"])))
    if fused != sites:
        raise e2e.Failure(f"{name} {optimiser}: {fused} of {sites} attentions are fused")
    e2e.compile_model(args.raptc, target, artifact, [f"--kernels={args.kernels}"])
    oracle, worst = e2e.Oracle(source), 0.0
    for mask in ("ones", "padded"):
        inputs = check_model.make_inputs(original, dims, np.random.default_rng(4), mask, 0)
        got = e2e.run_model(args.rapt_run, artifact, inputs, folder)
        what = f"{name} {optimiser} {mask}"
        worst = max(worst, e2e.compare(got, oracle.run(inputs), check_model.TOLERANCE, what))
    print(f"{name}, {optimiser}: differs by {worst:.1e}; {', '.join(changed)}", flush=True)


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("--models", required=True)
    parser.add_argument("--filter", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, optimiser, dims in CASES:
            if args.filter in f"{name} {optimiser}":
                check_case(name, optimiser, dims, args, folder)


if __name__ == "__main__":
    e2e.main(check)
