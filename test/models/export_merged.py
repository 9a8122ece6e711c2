"""Makes decoders as Optimum writes them: tiny, random weights, TorchScript, opset 17.

    python test/models/export_merged.py [--out test/models] [--all] [NAME ...]

Versions as in export.py, and optimum 2.3.0 with optimum-onnx 0.1.0, whose merge_decoders puts the two decoders into
one. <family>-<part>-<attention>-ts17.onnx, where the part is

- first: the decoder without a cache (decoder_model.onnx), which gives one;
- next: the decoder with one (decoder_with_past_model.onnx); for an encoder-decoder the encoder's keys and values do
  not come out again;
- merged: both as the branches of an If on the input use_cache_branch, whose inputs are those of both
  (decoder_model_merged.onnx); the outputs that `next` lacks are constants without elements in its branch.

GPT-2: input_ids, attention_mask, past_key_values.<layer>.key and .value give logits, present.<layer>.key and .value.
T5, Whisper: input_ids, encoder_attention_mask (T5), encoder_hidden_states, past_key_values.<layer>.decoder.key,
.decoder.value, .encoder.key and .encoder.value give logits and present.<layer>....
Without --all only those are made that the tests use. Every model is run in onnxruntime and compared with torch before it is written.
"""

import io
import sys
import tempfile

import numpy as np
import onnx
import torch
import transformers
from optimum.onnx import merge_decoders

import export
import export_decoders as decoders
import export_seq2seq as seq2seq

LAYERS = 2
COMMITTED = ("gpt2-first-sdpa-ts17", "gpt2-next-sdpa-ts17", "gpt2-merged-sdpa-ts17", "t5-merged-eager-ts17")
SHAPES = ((2, 7, 5, 3), (1, 4, 1, 6), (3, 9, 4, 1))  # batch, encoder, decoder, past


class FirstDecoder(decoders.Decoder):
    """Logits and the cache that the prompt leaves."""

    def forward(self, input_ids, attention_mask):
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=True)
        present = [tensor for layer in result.past_key_values.layers for tensor in (layer.keys, layer.values)]
        return result.logits, *present


class TextDecoders:
    """GPT-2's two decoders."""

    def __init__(self, family, attention):
        self.model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=decoders.VOCAB, n_embd=16, n_layer=LAYERS, n_head=4, n_positions=64,
            attn_implementation=attention, bos_token_id=0, eos_token_id=0)).eval()
        export.randomise(self.model, seed=sum(map(ord, family)))

    def module(self, cached):
        return (decoders.CachedDecoder if cached else FirstDecoder)(self.model).eval()

    def feed(self, cached, shape, seed):
        batch, _, seq, past = shape
        feed = decoders.feed_of(self.model, batch, seq, past if cached else None, seed)
        return {optimum_name(name): value for name, value in feed.items()}

    @staticmethod
    def outputs(cached):
        return ["logits", *(f"present.{layer}.{kind}" for layer in range(LAYERS) for kind in ("key", "value"))]

    @staticmethod
    def axes(name):
        if name == "attention_mask":
            return {0: "batch_size", 1: "attention_mask_sequence_length"}
        if name.startswith("past"):
            return {0: "batch_size", 2: "past_sequence_length"}
        if name.startswith("present"):
            return {0: "batch_size", 2: "past_sequence_length + sequence_length"}
        return {0: "batch_size", 1: "sequence_length"}


class CrossDecoders:
    """The two decoders of an encoder-decoder."""

    def __init__(self, family, attention):
        self.audio = family == "whisper"
        self.model = seq2seq.build(family, "decoder", attention).eval()
        export.randomise(self.model, seed=sum(map(ord, family)))

    def module(self, cached):
        kinds = (seq2seq.AudioDecoder, seq2seq.CachedAudioDecoder) if self.audio else \
            (seq2seq.Decoder, seq2seq.CachedDecoder)
        return kinds[cached](self.model).eval()

    def feed(self, cached, shape, seed):
        feed = seq2seq.sample(self.module(cached).inputs, self.audio, *shape, seed)
        return {optimum_name(name.replace("attention", "encoder_attention")): value for name, value in feed.items()}

    def outputs(self, cached):
        return [optimum_name(name) for name in self.module(cached).outputs]

    def axes(self, name):
        encoder = {} if self.audio else {1: "encoder_sequence_length"}
        if name.startswith("encoder"):
            return {0: "batch_size", **encoder}
        if ".encoder." in name:
            return {0: "batch_size"} if self.audio else {0: "batch_size", 2: "encoder_sequence_length_out"}
        if name.startswith("past"):
            return {0: "batch_size", 2: "past_decoder_sequence_length"}
        if name.startswith("present"):
            return {0: "batch_size", 2: "past_decoder_sequence_length + decoder_sequence_length"}
        return {0: "batch_size", 1: "decoder_sequence_length"}


def optimum_name(name):
    """Optimum's name of an input or output of the modules of export_decoders.py and export_seq2seq.py."""
    if not name.startswith(("past_", "present_")):
        return {"decoder_input_ids": "input_ids"}.get(name, name)
    kind, *side, what, layer = name.split("_")
    words = ["past_key_values" if kind == "past" else "present", layer]
    return ".".join(words + [{"self": "decoder", "cross": "encoder"}[s] for s in side] + [what])


def export_branch(pair, cached):
    module, feed = pair.module(cached), pair.feed(cached, SHAPES[0], 0)
    names = [*feed, *pair.outputs(cached)]
    buffer = io.BytesIO()
    torch.onnx.export(module, tuple(torch.from_numpy(v) for v in feed.values()), buffer, dynamo=False,
                      opset_version=17, do_constant_folding=True, input_names=list(feed),
                      output_names=pair.outputs(cached), dynamic_axes={name: pair.axes(name) for name in names})
    return onnx.load_from_string(buffer.getvalue())


def differs(pair, proto, cached, merged):
    """The largest difference between onnxruntime and torch."""
    run = export.session(proto.SerializeToString())
    worst = 0.0
    for shape in SHAPES:
        feed = pair.feed(cached, shape, seed=shape[2])
        with torch.no_grad():
            expected = pair.module(cached)(*(torch.from_numpy(v) for v in feed.values()))
        feed = {**pair.feed(True, shape, 1), **pair.feed(False, shape, 1), **feed} if merged else feed
        feed |= {"use_cache_branch": np.array([cached])} if merged else {}
        got = run.run(pair.outputs(cached), {value.name: feed[value.name] for value in run.get_inputs()})
        for value, want in zip(got, expected):
            if value.shape != tuple(want.shape):
                raise ValueError(f"shape {value.shape} where torch has {tuple(want.shape)}")
            worst = max(worst, float(np.abs(value - want.numpy()).max()))
    if not worst < 1e-3:
        raise ValueError(f"differs from torch by {worst}")
    return worst


def make(kind, family, part, attention):
    pair = kind(family, attention)
    if part != "merged":
        proto = export.strip(export_branch(pair, part == "next"))
        return proto, differs(pair, proto, part == "next", False)
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        proto = merge_decoders(export_branch(pair, False), export_branch(pair, True), save_path=file.name, strict=False)
    export.strip(proto)
    for branch in proto.graph.node[0].attribute:
        for node in branch.g.node:
            node.ClearField("name")  # a sixth of the file
    return proto, max(differs(pair, proto, cached, True) for cached in (False, True))


def variants():
    """Yields (name, function that makes it)."""
    for kind, family, part, attention in (
            (TextDecoders, "gpt2", "first", "sdpa"), (TextDecoders, "gpt2", "next", "sdpa"),
            (TextDecoders, "gpt2", "merged", "sdpa"), (CrossDecoders, "t5", "merged", "eager"),
            (CrossDecoders, "whisper", "merged", "sdpa")):
        yield f"{family}-{part}-{attention}-ts17", lambda o=(kind, family, part, attention): make(*o)


if __name__ == "__main__":
    sys.exit(export.write_models(__doc__, variants(), COMMITTED))
