"""Makes the encoder-decoder models of this folder: tiny, random weights, as torch's exporters write them.

    python test/models/export_seq2seq.py [--out test/models] [--all] [NAME ...]

Versions as in export.py. <family>-<part>-<attention>-<exporter><opset>.onnx, where the part is

- encoder: input_ids and attention_mask [batch, enc] (Whisper: input_features [batch, mels, frames]);
- decoder: decoder_input_ids [batch, dec], encoder_hidden_states [batch, enc, width] and the encoder's
  attention_mask give logits and, for each layer, the keys and values of both caches;
- past: one or more new decoder_input_ids, the encoder's attention_mask, for each layer the keys and values of
  the decoder so far [batch, heads, past, head dim] and of the encoder [batch, heads, enc, head dim]; the
  decoder's grow, the encoder's do not come out again;
- full: both in one graph, nn.Transformer;
- fixed: the same from the TorchScript exporter, which writes batch 2, enc 7 and dec 5 into its Reshapes although
  the inputs are declared open;
- cross: one attention over the encoder's states whose products are torch.bmm, batch and heads in one dim, as many
  implementations have it;
- loss: both, from labels [batch, dec] to their cross-entropy.

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

LAYERS, VOCAB, WIDTH, HEADS, HEAD_DIM = 2, 101, 32, 4, 8
FRAMES, MELS = 32, 8  # Whisper's encoder takes one length only

COMMITTED = (
    "t5-encoder-eager-ts17", "t5-decoder-eager-dynamo18", "t5-past-eager-dynamo18", "t5-loss-eager-dynamo18",
    "t5-loss-eager-ts17", "bart-encoder-sdpa-dynamo18", "bart-decoder-sdpa-dynamo20", "marian-encoder-eager-dynamo18",
    "marian-past-sdpa-dynamo18", "whisper-encoder-sdpa-dynamo18", "whisper-decoder-sdpa-ts17",
    "whisper-past-eager-dynamo20", "transformer-full-math-dynamo18", "bmm-cross-eager-ts17",
)


def build(family, part, attention):
    t = transformers
    layers = LAYERS if part in ("encoder", "decoder", "past") else 1
    if family == "t5":
        config = t.T5Config(vocab_size=VOCAB, d_model=WIDTH, d_kv=HEAD_DIM, d_ff=64, num_layers=layers,
                            num_decoder_layers=layers, num_heads=HEADS, relative_attention_num_buckets=8,
                            relative_attention_max_distance=20, decoder_start_token_id=0)
        kind = t.T5ForConditionalGeneration
    elif family in ("bart", "marian"):
        config = (t.BartConfig if family == "bart" else t.MarianConfig)(
            vocab_size=VOCAB, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
            encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=64, decoder_ffn_dim=64,
            max_position_embeddings=128, pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=1,
            forced_eos_token_id=None, **({"scale_embedding": True} if family == "marian" else {}))
        kind = t.BartForConditionalGeneration if family == "bart" else t.MarianMTModel
    elif family == "whisper":
        config = t.WhisperConfig(vocab_size=VOCAB, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
                                 encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=64,
                                 decoder_ffn_dim=64, num_mel_bins=MELS, max_source_positions=FRAMES // 2,
                                 max_target_positions=64, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                                 decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None)
        kind = t.WhisperForConditionalGeneration
    elif family == "transformer":
        return Translator(layers, fused=attention == "sdpa")
    elif family == "bmm":
        return torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
    else:
        raise ValueError(family)
    config._attn_implementation = attention
    return kind(config)


class Translator(torch.nn.Module):
    """nn.Transformer between embeddings and logits; the two forms differ in norms, activation and causal mask."""

    def __init__(self, layers, fused):
        super().__init__()
        self.source, self.target = torch.nn.Embedding(VOCAB, WIDTH), torch.nn.Embedding(VOCAB, WIDTH)
        self.core = torch.nn.Transformer(WIDTH, HEADS, layers, layers, 64, batch_first=True, norm_first=fused,
                                         activation="gelu" if fused else "relu")
        self.core.encoder.use_nested_tensor = False  # it asks whether padding is on the right
        self.logits = torch.nn.Linear(WIDTH, VOCAB)
        self.fused = fused


class MergedHeads(torch.nn.Module):
    """Attention of states [batch, dec, width] to others [batch, enc, width] with a padding mask."""
    inputs = ("decoder_hidden_states", "encoder_hidden_states", "attention_mask")
    outputs = ("states",)

    def __init__(self, model):
        super().__init__()
        self.query, self.key, self.value, self.out = model

    def heads(self, x, length, batch):
        return x.view(batch, length, HEADS, HEAD_DIM).transpose(1, 2).contiguous().view(batch * HEADS, -1, HEAD_DIM)

    def forward(self, decoder_hidden_states, encoder_hidden_states, attention_mask):
        (batch, dec, width), enc = decoder_hidden_states.shape, encoder_hidden_states.shape[1]
        query = self.heads(self.query(decoder_hidden_states) * HEAD_DIM ** -0.5, dec, batch)
        key = self.heads(self.key(encoder_hidden_states), -1, batch)
        value = self.heads(self.value(encoder_hidden_states), -1, batch)
        mask = 1.0 - attention_mask[:, None, None, :].expand(batch, 1, dec, enc).to(torch.float32)
        mask = mask.masked_fill(mask.to(torch.bool), torch.finfo(torch.float32).min)
        scores = torch.bmm(query, key.transpose(1, 2)).view(batch, HEADS, dec, enc) + mask
        weights = scores.view(batch * HEADS, dec, enc).softmax(-1)
        states = torch.bmm(weights, value).view(batch, HEADS, dec, HEAD_DIM).transpose(1, 2)
        return self.out(states.reshape(batch, dec, width))


class Full(torch.nn.Module):
    inputs = ("input_ids", "attention_mask", "decoder_input_ids")
    outputs = ("logits",)

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        m, length = self.model, decoder_input_ids.shape[1]
        hidden = attention_mask == 0
        later = torch.ones(length, length, dtype=torch.bool).triu(1) if m.fused else \
            torch.full((length, length), float("-inf")).triu(1)
        return m.logits(m.core(m.source(input_ids), m.target(decoder_input_ids), tgt_mask=later,
                               src_key_padding_mask=hidden, memory_key_padding_mask=hidden, tgt_is_causal=False))


class Loss(torch.nn.Module):
    """The mean cross-entropy of the labels that are not -100, and the logits."""
    inputs = ("input_ids", "attention_mask", "labels")
    outputs = ("loss", "logits")

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, labels):
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, labels=labels, use_cache=False)
        return result.loss, result.logits


class Encoder(torch.nn.Module):
    inputs = ("input_ids", "attention_mask")
    outputs = ("last_hidden_state",)

    def __init__(self, model):
        super().__init__()
        self.encoder = model.get_encoder()

    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class AudioEncoder(Encoder):
    inputs = ("input_features",)

    def forward(self, input_features):
        return self.encoder(input_features).last_hidden_state


def flat(caches):
    return [tensor for cache in caches for layer in cache.layers for tensor in (layer.keys, layer.values)]


def names(prefix, side):
    return [f"{prefix}_{side}_{kind}_{layer}" for layer in range(LAYERS) for kind in ("key", "value")]


class Decoder(torch.nn.Module):
    inputs = ("decoder_input_ids", "encoder_hidden_states", "attention_mask")
    outputs = ("logits", *names("present", "self"), *names("present", "cross"))

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, decoder_input_ids, encoder_hidden_states, attention_mask):
        result = self.model(decoder_input_ids=decoder_input_ids, encoder_outputs=(encoder_hidden_states,),
                            attention_mask=attention_mask, use_cache=True)
        cache = result.past_key_values
        return result.logits, *flat((cache.self_attention_cache, cache.cross_attention_cache))


class AudioDecoder(Decoder):
    inputs = ("decoder_input_ids", "encoder_hidden_states")

    def forward(self, decoder_input_ids, encoder_hidden_states):
        return super().forward(decoder_input_ids, encoder_hidden_states, None)


class CachedDecoder(torch.nn.Module):
    inputs = ("decoder_input_ids", "attention_mask", *names("past", "self"), *names("past", "cross"))
    outputs = ("logits", *names("present", "self"))

    def __init__(self, model):
        super().__init__()
        self.model = model

    def step(self, decoder_input_ids, attention_mask, past):
        pairs = list(zip(past[::2], past[1::2]))
        cache = transformers.EncoderDecoderCache(transformers.DynamicCache(pairs[:LAYERS]),
                                                 transformers.DynamicCache(pairs[LAYERS:]))
        # The cache has the keys of the encoder; only the length of its states is looked at.
        states = past[-1].transpose(1, 2).flatten(2)
        result = self.model(decoder_input_ids=decoder_input_ids, encoder_outputs=(states,),
                            attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        return result.logits, *flat((result.past_key_values.self_attention_cache,))

    # torch.export reads the signature.
    def forward(self, decoder_input_ids, attention_mask, a, b, c, d, e, f, g, h):
        return self.step(decoder_input_ids, attention_mask, (a, b, c, d, e, f, g, h))


class CachedAudioDecoder(CachedDecoder):
    inputs = tuple(name for name in CachedDecoder.inputs if name != "attention_mask")

    def forward(self, decoder_input_ids, a, b, c, d, e, f, g, h):
        return self.step(decoder_input_ids, None, (a, b, c, d, e, f, g, h))


AXES = {
    "input_ids": {0: "batch", 1: "enc"}, "attention_mask": {0: "batch", 1: "enc"}, "input_features": {0: "batch"},
    "decoder_input_ids": {0: "batch", 1: "dec"}, "labels": {0: "batch", 1: "dec"},
    "encoder_hidden_states": {0: "batch", 1: "enc"}, "decoder_hidden_states": {0: "batch", 1: "dec"},
    "states": {0: "batch", 1: "dec"}, "logits": {0: "batch", 1: "dec"}, "loss": {},
    "last_hidden_state": {0: "batch", 1: "enc"},
    "past_self": {0: "batch", 2: "past"}, "past_cross": {0: "batch", 2: "enc"},
    "present_self": {0: "batch", 2: "total"}, "present_cross": {0: "batch", 2: "enc"},
}


def axes(name, audio):
    found = AXES.get(name) or AXES.get("_".join(name.split("_")[:2]), {})
    return {axis: dim for axis, dim in found.items() if not (audio and dim == "enc")}


def sample(inputs, audio, batch, enc, dec, past, seed):
    rng = np.random.default_rng(seed)
    enc = FRAMES // 2 if audio else enc
    mask = np.ones((batch, enc), np.int64)
    if batch > 1 and enc > 3:
        mask[-1, -2:] = 0
    feed = {}
    for name in inputs:
        if name == "attention_mask":
            feed[name] = mask
        elif name == "labels":
            feed[name] = rng.integers(3, VOCAB, (batch, dec))
            feed[name][-1, -1] = -100 if batch * dec > 1 else 5
        elif name in ("input_ids", "decoder_input_ids"):
            feed[name] = rng.integers(3, VOCAB, (batch, enc if name == "input_ids" else dec))
        elif name == "input_features":
            feed[name] = rng.standard_normal((batch, MELS, FRAMES)).astype(np.float32)
        elif name in ("encoder_hidden_states", "decoder_hidden_states"):
            length = enc if name.startswith("encoder") else dec
            feed[name] = rng.standard_normal((batch, length, WIDTH)).astype(np.float32)
        else:
            length = past if "_self_" in name else enc
            feed[name] = rng.standard_normal((batch, HEADS, length, HEAD_DIM)).astype(np.float32)
    return feed


def export_part(module, family, exporter, opset, fixed):
    audio = family == "whisper"
    feed = sample(module.inputs, audio, 2, 7, 5, 3, 0)
    args = tuple(torch.from_numpy(v) for v in feed.values())
    if exporter == "dynamo":
        program = torch.onnx.export(module, args, dynamo=True, opset_version=opset, optimize=False, verbose=False,
                                    input_names=list(feed), output_names=list(module.outputs),
                                    dynamic_shapes=tuple(axes(name, audio) for name in feed))
        proto = program.model_proto
    else:
        buffer = io.BytesIO()
        torch.onnx.export(module, args, buffer, dynamo=False, opset_version=opset, do_constant_folding=True,
                          input_names=list(feed), output_names=list(module.outputs),
                          dynamic_axes={name: axes(name, audio) for name in (*feed, *module.outputs)})
        proto = onnx.load_from_string(buffer.getvalue())
    export.strip(proto)
    run = export.session(proto.SerializeToString())
    kept = {value.name for value in run.get_inputs()}
    worst = 0.0
    for batch, enc, dec, past in ((2, 7, 5, 3), (1, 4, 1, 6), (3, 9, 4, 1))[:1 if fixed else 3]:
        feed = sample(module.inputs, audio, batch, enc, dec, past, seed=dec)
        with torch.no_grad():
            expected = module(*(torch.from_numpy(v) for v in feed.values()))
        got = run.run(None, {name: v for name, v in feed.items() if name in kept})
        for value, want in zip(got, expected if isinstance(expected, tuple) else [expected]):
            if value.shape != tuple(want.shape):
                raise ValueError(f"shape {value.shape} where torch has {tuple(want.shape)}")
            worst = max(worst, float(np.abs(value - want.numpy()).max()))
    if not worst < 1e-3:
        raise ValueError(f"differs from torch by {worst}")
    return proto, worst


def combinations():
    for family in ("t5", "bart", "marian", "whisper"):
        audio = family == "whisper"
        for part, module in (("encoder", AudioEncoder if audio else Encoder),
                             ("decoder", AudioDecoder if audio else Decoder),
                             ("past", CachedAudioDecoder if audio else CachedDecoder)):
            for attention in ("sdpa", "eager"):
                for exporter, opset in (("dynamo", 18), ("dynamo", 20), ("dynamo", 23), ("ts", 17)):
                    yield family, part, attention, exporter, opset, module
    for attention in ("sdpa", "math"):
        for exporter, opset in (("dynamo", 18), ("dynamo", 20), ("dynamo", 23), ("ts", 17)):
            yield "transformer", "full" if exporter == "dynamo" else "fixed", attention, exporter, opset, Full
    for exporter, opset in (("dynamo", 18), ("ts", 17)):
        yield "bmm", "cross", "eager", exporter, opset, MergedHeads
    for exporter, opset in (("dynamo", 18), ("dynamo", 20), ("ts", 17)):
        yield "t5", "loss", "eager", exporter, opset, Loss


def make(kind, family, part, attention, exporter, opset, name):
    torch.backends.mha.set_fastpath_enabled(False)  # one operator that no exporter knows
    model = build(family, part, attention).eval()
    export.randomise(model, seed=sum(map(ord, name)))
    return export_part(kind(model).eval(), family, exporter, opset, part == "fixed")


def variants():
    """Yields (name, function that makes it)."""
    for family, part, attention, exporter, opset, kind in combinations():
        name = f"{family}-{part}-{attention}-{exporter}{opset}"
        yield name, lambda o=(kind, family, part, attention, exporter, opset, name): make(*o)


if __name__ == "__main__":
    sys.exit(export.write_models(__doc__, variants(), COMMITTED))
