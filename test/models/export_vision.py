"""Makes the vision models of this folder: tiny, random weights, as torch's exporters write them.

    python test/models/export_vision.py [--out test/models] [--all] [NAME ...]

Versions as in export.py. <family>-<attention>-<exporter><opset>.onnx; pixel_values are [batch, 3, 32, 32].

- vit: the classifier of ViT, patches of 8x8; vit-hidden gives the hidden states and the pooler's output;
- clip-vision, clip-text: CLIP's towers with their projections, the text's causal and padded;
- clip: both towers in one graph, with the logits of every image for every text;
- swin: two stages, windows of 4x4, the second block shifted, patches merged between the stages;
- swin-windows: one block whose shift masks are added to scores [batch, windows, heads, i, j], as many
  implementations of Swin do it.

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

VOCAB, SIZE = 101, 32

COMMITTED = ("vit-sdpa-dynamo18", "clip-sdpa-ts17", "swin-eager-dynamo18", "swin-windows-eager-ts17")


class WindowAttention(torch.nn.Module):
    """Shifted-window attention over a map of 16 windows of 2x2; tokens are laid out window by window."""

    def __init__(self, width=32, heads=4, windows=16, tokens=4):
        super().__init__()
        self.heads, self.windows = heads, windows
        self.norm, self.qkv, self.out = torch.nn.LayerNorm(width), torch.nn.Linear(width, 3 * width), \
            torch.nn.Linear(width, width)
        self.relative = torch.nn.Parameter(torch.zeros(heads, tokens, tokens))
        mask = torch.zeros(windows, tokens, tokens)
        mask[-4:, :2, 2:], mask[-4:, 2:, :2] = -100.0, -100.0
        mask[3::4, ::2, 1::2], mask[3::4, 1::2, ::2] = -100.0, -100.0
        self.register_buffer("mask", mask)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1) + self.relative.unsqueeze(0)
        scores = scores.view(-1, self.windows, self.heads, tokens, tokens) + self.mask.unsqueeze(1).unsqueeze(0)
        scores = scores.view(-1, self.heads, tokens, tokens).softmax(-1)
        return x + self.out((scores @ v).transpose(1, 2).reshape(batch, tokens, width))


class Windows(torch.nn.Module):
    inputs, outputs = ("pixel_values",), ("map",)

    def __init__(self, model):
        super().__init__()
        self.model, self.patches = model, torch.nn.Conv2d(3, 32, 4, 4)

    def forward(self, pixel_values):
        x = self.patches(pixel_values).permute(0, 2, 3, 1)
        x = x.reshape(-1, 4, 2, 4, 2, 32).transpose(2, 3).reshape(-1, 4, 32)
        return self.model(x).reshape(-1, 4, 4, 2, 2, 32).transpose(2, 3).reshape(-1, 8, 8, 32)


class Pixels(torch.nn.Module):
    inputs, outputs = ("pixel_values",), ("logits",)

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        result = self.model(pixel_values=pixel_values)
        return tuple(getattr(result, name) for name in self.outputs)


class Hidden(Pixels):
    outputs = ("last_hidden_state", "pooler_output")


class Image(Pixels):
    outputs = ("image_embeds", "last_hidden_state")


class Text(torch.nn.Module):
    inputs, outputs = ("input_ids", "attention_mask"), ("text_embeds", "last_hidden_state")

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        result = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return result.text_embeds, result.last_hidden_state


class Both(torch.nn.Module):
    inputs, outputs = ("input_ids", "pixel_values", "attention_mask"), ("logits_per_image", "text_embeds")

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, pixel_values, attention_mask):
        result = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return result.logits_per_image, result.text_embeds


AXES = {
    "pixel_values": {0: "batch"}, "input_ids": {0: "batch", 1: "seq"}, "attention_mask": {0: "batch", 1: "seq"},
    "logits": {0: "batch"}, "pooler_output": {0: "batch"}, "image_embeds": {0: "batch"}, "text_embeds": {0: "batch"},
    "logits_per_image": {0: "images", 1: "batch"}, "map": {0: "batch"},
}


def build(family, attention):
    t = transformers
    tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1 if family == "clip" else 2,
                 num_attention_heads=4, projection_dim=24)
    vision = dict(image_size=SIZE, patch_size=8)
    text = dict(vocab_size=VOCAB, max_position_embeddings=77, bos_token_id=98, eos_token_id=99, pad_token_id=1)
    if family in ("vit", "vit-hidden"):
        config = t.ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                             num_labels=5, **vision)
        kind, module = (t.ViTForImageClassification, Pixels) if family == "vit" else (t.ViTModel, Hidden)
    elif family == "clip-vision":
        config, kind, module = t.CLIPVisionConfig(**tower, **vision), t.CLIPVisionModelWithProjection, Image
    elif family == "clip-text":
        config, kind, module = t.CLIPTextConfig(**tower, **text), t.CLIPTextModelWithProjection, Text
    elif family == "clip":
        config, kind, module = t.CLIPConfig(text_config=dict(**tower, **text), vision_config=dict(**tower, **vision),
                                            projection_dim=24), t.CLIPModel, Both
    elif family == "swin":
        config = t.SwinConfig(image_size=SIZE, patch_size=4, embed_dim=16, depths=[2, 1], num_heads=[2, 4],
                              mlp_ratio=2, window_size=4, num_labels=5)
        kind, module = t.SwinForImageClassification, Pixels
    else:
        return Windows(WindowAttention())
    config._attn_implementation = attention
    return module(kind._from_config(config, attn_implementation=attention))


def sample(inputs, batch, seq, seed):
    rng = np.random.default_rng(seed)
    feed = {}
    for name in inputs:
        if name == "pixel_values":
            feed[name] = rng.standard_normal((batch, 3, SIZE, SIZE)).astype(np.float32)
        elif name == "input_ids":
            feed[name] = rng.integers(2, 98, (batch, seq))
            feed[name][np.arange(batch), rng.integers(0, seq, batch)] = 99  # the token that is pooled
        else:
            feed[name] = np.ones((batch, seq), np.int64)
            if batch > 1 and seq > 3:
                feed[name][-1, -2:] = 0
    return feed


def export_model(module, exporter, opset):
    feed = sample(module.inputs, 2, 7, 0)
    args = tuple(torch.from_numpy(v) for v in feed.values())
    axes = {name: AXES.get(name, {0: "batch"}) for name in (*module.inputs, *module.outputs)}
    if "input_ids" in feed:
        axes["last_hidden_state"] = {0: "batch", 1: "seq"}
    if exporter == "dynamo":
        program = torch.onnx.export(module, args, dynamo=True, opset_version=opset, optimize=False, verbose=False,
                                    input_names=list(feed), output_names=list(module.outputs),
                                    dynamic_shapes=tuple(axes[name] for name in feed))
        proto = program.model_proto
    else:
        buffer = io.BytesIO()
        torch.onnx.export(module, args, buffer, dynamo=False, opset_version=opset, do_constant_folding=True,
                          input_names=list(feed), output_names=list(module.outputs), dynamic_axes=axes)
        proto = onnx.load_from_string(buffer.getvalue())
    export.strip(proto)
    run = export.session(proto.SerializeToString())
    worst = 0.0
    for batch, seq in ((2, 7), (1, 1), (3, 11)):
        feed = sample(module.inputs, batch, seq, seed=batch)
        with torch.no_grad():
            expected = module(*(torch.from_numpy(v) for v in feed.values()))
        for value, want in zip(run.run(None, feed), expected if isinstance(expected, tuple) else [expected]):
            if value.shape != tuple(want.shape):
                raise ValueError(f"shape {value.shape} where torch has {tuple(want.shape)}")
            worst = max(worst, float(np.abs(value - want.numpy()).max()))
    if not worst < 1e-3:
        raise ValueError(f"differs from torch by {worst}")
    return proto, worst


def variants():
    """Yields (name, function that makes it)."""
    for family in ("vit", "vit-hidden", "clip-vision", "clip-text", "clip", "swin", "swin-windows"):
        for attention in ("sdpa", "eager") if family != "swin-windows" else ("eager",):
            for exporter, opset in (("dynamo", 18), ("dynamo", 20), ("dynamo", 23), ("ts", 17)):
                name = f"{family}-{attention}-{exporter}{opset}"
                yield name, lambda o=(family, attention, exporter, opset, name): make(*o)


def make(family, attention, exporter, opset, name):
    module = build(family, attention).eval()
    export.randomise(module, seed=sum(map(ord, name)))
    return export_model(module, exporter, opset)


if __name__ == "__main__":
    sys.exit(export.write_models(__doc__, variants(), COMMITTED))
