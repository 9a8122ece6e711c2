"""Makes the decoder models of this folder: tiny, random weights, as torch's dynamo exporter writes them.

    python test/models/export_decoders.py [--out test/models] [NAME ...]

Versions as in export.py. <family>-decoder-<attention>-dynamo18.onnx takes input_ids and attention_mask
[batch, seq]; <family>-past-... also takes past_key_<layer> and past_value_<layer> [batch, kv heads, past,
head dim], attention_mask is [batch, past + seq], and it gives present_key_<layer>, present_value_<layer>.
Every model is run in onnxruntime and compared with torch before it is written.
"""

import sys

import numpy as np
import torch
import transformers

import export

LAYERS, VOCAB = 2, 101


class Decoder(torch.nn.Module):
    """Logits of every position."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


class CachedDecoder(Decoder):
    """Logits, and the cache with the keys and values of the new positions appended."""

    def forward(self, input_ids, attention_mask, past_key_0, past_value_0, past_key_1, past_value_1):
        cache = transformers.DynamicCache([(past_key_0, past_value_0), (past_key_1, past_value_1)])
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache,
                            use_cache=True)
        present = [tensor for layer in result.past_key_values.layers for tensor in (layer.keys, layer.values)]
        return result.logits, *present


def build(family, attention):
    t = transformers
    wide = dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=4,
                intermediate_size=64, max_position_embeddings=512, attn_implementation=attention,
                bos_token_id=0, eos_token_id=0, pad_token_id=0)
    if family == "gpt2":
        return t.GPT2LMHeadModel(t.GPT2Config(vocab_size=VOCAB, n_embd=32, n_layer=LAYERS, n_head=4, n_positions=512,
                                              attn_implementation=attention, bos_token_id=0, eos_token_id=0))
    if family == "llama":
        return t.LlamaForCausalLM(t.LlamaConfig(**wide, num_key_value_heads=2))
    if family == "mistral":
        return t.MistralForCausalLM(t.MistralConfig(**wide, num_key_value_heads=2, sliding_window=8))
    if family == "qwen2":
        return t.Qwen2ForCausalLM(t.Qwen2Config(**wide, num_key_value_heads=2))
    if family == "neox":
        return t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**wide, rotary_pct=0.5))
    if family == "opt":
        return t.OPTForCausalLM(t.OPTConfig(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=LAYERS, ffn_dim=64,
                                            num_attention_heads=4, max_position_embeddings=512, word_embed_proj_dim=32,
                                            attn_implementation=attention, pad_token_id=0, bos_token_id=0, eos_token_id=0))
    raise ValueError(family)


def heads_of(model):
    """Number of key and value heads, head dim."""
    config = model.config
    shared = getattr(config, "multi_query", False)  # Falcon: one key and value head for all query heads
    return 1 if shared else getattr(config, "num_key_value_heads", None) or config.num_attention_heads, \
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def feed_of(model, batch, seq, past, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.ones((batch, (past or 0) + seq), np.int64)
    if batch > 1 and mask.shape[1] > 3:
        mask[-1, -1] = 0  # no query is left without a key: torch and ONNX differ there
    feed = {"input_ids": rng.integers(1, VOCAB, (batch, seq)), "attention_mask": mask}
    heads, dim = heads_of(model)
    for layer in range(LAYERS if past is not None else 0):
        for kind in ("key", "value"):
            feed[f"past_{kind}_{layer}"] = rng.standard_normal((batch, heads, past, dim)).astype(np.float32)
    return feed


def differs(module, model, proto, cached):
    """The largest difference between onnxruntime and torch."""
    run = export.session(proto.SerializeToString())
    worst = 0.0
    for batch, seq, past in ((2, 5, 3), (1, 1, 7), (3, 4, 1)):
        feed = feed_of(model, batch, seq, past if cached else None, seed=seq)
        with torch.no_grad():
            expected = module(*(torch.from_numpy(v) for v in feed.values()))
        for got, want in zip(run.run(None, feed), expected if cached else [expected]):
            worst = max(worst, float(np.abs(got - want.numpy()).max()))
    if not worst < 1e-3:
        raise ValueError(f"differs from torch by {worst}")
    return worst


def export_decoder(model, cached, opset):
    module = (CachedDecoder if cached else Decoder)(model).eval()
    feed = feed_of(model, 2, 5, 3 if cached else None)
    batch, seq, past = (torch.export.Dim(name) for name in ("batch", "seq", "past"))
    ids = {0: "batch", 1: "seq"}
    dynamic = [ids, {0: "batch", 1: "total"} if cached else ids] + [{0: "batch", 2: "past"}] * (4 if cached else 0)
    outputs = ["logits"]
    if cached:
        outputs += [name.replace("past", "present") for name in feed if name.startswith("past")]
    program = torch.onnx.export(module, tuple(torch.from_numpy(v) for v in feed.values()), dynamo=True,
                                opset_version=opset, optimize=False, verbose=False, input_names=list(feed),
                                output_names=outputs, dynamic_shapes=tuple(dynamic))
    proto = export.strip(program.model_proto)
    return proto, differs(module, model, proto, cached)


def make(family, attention, cached, name):
    model = build(family, attention).eval()
    export.randomise(model, seed=sum(map(ord, name)))
    return export_decoder(model, cached, 18)


def variants():
    """Yields (name, function that makes it)."""
    for family in ("gpt2", "llama", "mistral", "qwen2", "neox", "opt"):
        for attention in ("sdpa", "eager") if family in ("gpt2", "llama") else ("sdpa",):
            for cached in (False, True):
                name = f"{family}-{'past' if cached else 'decoder'}-{attention}-dynamo18"
                yield name, lambda o=(family, attention, cached, name): make(*o)


if __name__ == "__main__":
    sys.exit(export.write_models(__doc__, variants()))
