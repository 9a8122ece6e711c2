"""Makes the audio encoders of this folder: tiny, random weights, as torch's exporters write them.

    python test/models/export_audio.py [--out test/models] [--all] [NAME ...]

Versions as in export.py. <family>-<attention>-<exporter><opset>.onnx; input_values and attention_mask are
[batch, samples], so lengths inside are what three convolutions leave of the samples.

- wav2vec2, hubert: Wav2Vec2 and HuBERT; a mask of samples becomes one of frames by a running sum;
- conformer, conformer-rotary: Wav2Vec2-Conformer with relative and with rotary positions;
- sew: SEW, which halves the frames before its layers, and doubles them afterwards.

Without --all only those are made that the tests use. Every model is run in onnxruntime and compared with torch
before it is written.
"""

import io
import sys

import numpy as np
import onnx
import torch
import transformers

import export

INPUTS, OUTPUTS = ("input_values", "attention_mask"), ("last_hidden_state",)
COMMITTED = ("wav2vec2-sdpa-ts17", "conformer-eager-ts17", "sew-eager-dynamo18")


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_values, attention_mask):
        return self.model(input_values, attention_mask=attention_mask).last_hidden_state


def build(family, attention):
    t = transformers
    sizes = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48, vocab_size=32,
                 conv_dim=(8, 8, 8), conv_stride=(5, 2, 2), conv_kernel=(10, 3, 3), num_feat_extract_layers=3,
                 num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2)
    conformer = dict(conv_depthwise_kernel_size=5, max_source_positions=160)
    config, kind = {
        "wav2vec2": (t.Wav2Vec2Config(**sizes), t.Wav2Vec2Model),
        "hubert": (t.HubertConfig(**sizes), t.HubertModel),
        "conformer": (t.Wav2Vec2ConformerConfig(**sizes, **conformer), t.Wav2Vec2ConformerModel),
        "conformer-rotary": (t.Wav2Vec2ConformerConfig(**sizes, **conformer, position_embeddings_type="rotary"),
                             t.Wav2Vec2ConformerModel),
        "sew": (t.SEWConfig(**sizes), t.SEWModel),
    }[family]
    config._attn_implementation = attention
    return Encoder(kind(config)).eval()


def sample(batch, samples, seed):
    rng = np.random.default_rng(seed)
    mask = np.ones((batch, samples), np.int64)
    if batch > 1:
        mask[-1, samples * 3 // 4:] = 0
    return {"input_values": rng.standard_normal((batch, samples)).astype(np.float32), "attention_mask": mask}


def export_model(module, exporter, opset):
    args = tuple(torch.from_numpy(value) for value in sample(2, 800, 0).values())
    axes = {0: "batch", 1: "samples"}
    if exporter == "dynamo":
        free = {axis: torch.export.Dim.AUTO for axis in axes}
        program = torch.onnx.export(module, args, dynamo=True, opset_version=opset, optimize=False, verbose=False,
                                    input_names=list(INPUTS), output_names=list(OUTPUTS),
                                    dynamic_shapes=tuple(free for _ in INPUTS))
        proto = program.model_proto
        for value in proto.graph.input:  # the exporter's own names for the dims are made up: s43, s76
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                dim.dim_param = axes[axis]
    else:
        buffer = io.BytesIO()
        torch.onnx.export(module, args, buffer, dynamo=False, opset_version=opset, do_constant_folding=True,
                          input_names=list(INPUTS), output_names=list(OUTPUTS),
                          dynamic_axes={name: axes for name in INPUTS})
        proto = onnx.load_from_string(buffer.getvalue())
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    export.strip(proto)
    run = export.session(proto.SerializeToString())
    worst = 0.0
    for batch, samples in ((2, 800), (1, 450), (3, 1237)):
        feed = sample(batch, samples, seed=batch)
        with torch.no_grad():
            want = module(*(torch.from_numpy(value) for value in feed.values())).numpy()
        value, = run.run(None, feed)
        if value.shape != want.shape:
            raise ValueError(f"shape {value.shape} where torch has {want.shape}")
        worst = max(worst, float(np.abs(value - want).max()))
    if not worst < 1e-3:
        raise ValueError(f"differs from torch by {worst}")
    return proto, worst


def make(family, attention, exporter, opset, name):
    module = build(family, attention)
    export.randomise(module, seed=sum(map(ord, name)))
    return export_model(module, exporter, opset)


def variants():
    """Yields (name, function that makes it)."""
    for family in ("wav2vec2", "hubert", "conformer", "conformer-rotary", "sew"):
        for attention in ("sdpa", "eager"):
            for exporter, opset in (("dynamo", 18), ("dynamo", 20), ("ts", 17)):
                name = f"{family}-{attention}-{exporter}{opset}"
                yield name, lambda o=(family, attention, exporter, opset, name): make(*o)


if __name__ == "__main__":
    sys.exit(export.write_models(__doc__, variants(), COMMITTED))
