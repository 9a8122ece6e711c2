"""Makes more text models of this folder: tiny, random weights, as torch's two exporters write them.

    python test/models/export_text.py [--out test/models] [--all] [NAME ...]

Versions, names and forms as in export.py (encoders) and export_decoders.py (decoders; the inputs and outputs are
the same with `ts17`). Without --all only the models that are committed are made. Every model is run in onnxruntime
and compared with torch before it is written.
"""

import io
import sys

import onnx
import torch
import transformers

import export
import export_decoders as decoders

COMMITTED = (
    "albert-eager-ts17", "electra-sdpa-dynamo23", "deberta-eager-dynamo18", "deberta-eager-ts17",
    "modernbert-sdpa-dynamo18", "gemma2-past-eager-dynamo18", "phi-past-sdpa-ts17", "phi3-past-sdpa-dynamo23",
    "bloom-past-eager-dynamo18", "bloom-decoder-eager-ts17", "qwen3-past-sdpa-dynamo18", "llama-past-sdpa-dynamo23",
    "gptj-past-eager-dynamo18", "gptneo-past-eager-dynamo18", "falcon-past-eager-ts17",
    "gptoss-past-eager-dynamo18")


def encoder(family, attention):
    t, common = transformers, dict(export.BERT, attn_implementation=attention)
    ids2, ids3 = export.IDS2, export.IDS3
    if family == "albert":
        model = t.AlbertModel(t.AlbertConfig(**{**common, "embedding_size": 16}))
        return export.Outputs3(model, ids3, ["last_hidden_state", "pooler_output"])
    if family == "electra":
        model = t.ElectraModel(t.ElectraConfig(**common, embedding_size=16))
        return export.Outputs3(model, ids3, ["last_hidden_state"])
    if family == "deberta":
        model = t.DebertaV2Model(t.DebertaV2Config(
            **{**common, "type_vocab_size": 0, "max_position_embeddings": 64}, relative_attention=True,
            position_buckets=8, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm", share_att_key=True))
        return export.Outputs2(model, ids2, ["last_hidden_state"])
    if family == "modernbert":
        common.pop("type_vocab_size")
        model = t.ModernBertModel(t.ModernBertConfig(
            **{**common, "num_hidden_layers": 3}, local_attention=8, global_attn_every_n_layers=2,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
            reference_compile=False))
        return export.Outputs2(model, ids2, ["last_hidden_state"])
    raise ValueError(family)


def decoder(family, attention):
    t, vocab, layers = transformers, decoders.VOCAB, decoders.LAYERS
    common = dict(vocab_size=vocab, attn_implementation=attention, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    wide = dict(common, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=64,
                max_position_embeddings=512)
    if family == "gemma2":
        return t.Gemma2ForCausalLM(t.Gemma2Config(
            **wide, num_key_value_heads=2, head_dim=8, sliding_window=8, query_pre_attn_scalar=16,
            attn_logit_softcapping=50.0, final_logit_softcapping=30.0))
    if family == "phi":
        return t.PhiForCausalLM(t.PhiConfig(**wide, partial_rotary_factor=0.5))
    if family == "phi3":
        return t.Phi3ForCausalLM(t.Phi3Config(**wide, num_key_value_heads=2))
    if family == "bloom":
        return t.BloomForCausalLM(t.BloomConfig(**common, hidden_size=32, n_layer=layers, n_head=4))
    if family == "qwen3":
        return t.Qwen3ForCausalLM(t.Qwen3Config(**wide, num_key_value_heads=2, head_dim=16))
    if family == "gptj":
        return t.GPTJForCausalLM(t.GPTJConfig(**common, n_embd=32, n_layer=layers, n_head=4, n_positions=64,
                                              rotary_dim=4))
    if family == "gptneo":
        return t.GPTNeoForCausalLM(t.GPTNeoConfig(
            **common, hidden_size=32, num_layers=layers, num_heads=4, max_position_embeddings=64, window_size=8,
            attention_types=[[["global", "local"], 1]]))
    if family == "falcon":
        return t.FalconForCausalLM(t.FalconConfig(
            **common, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, multi_query=True, alibi=False,
            parallel_attn=True, bias=False))
    if family == "gptoss":  # a sink for each head, and all experts, so that no rounding chooses among them
        model = t.GptOssForCausalLM(t.GptOssConfig(
            **{**wide, "intermediate_size": 16}, num_key_value_heads=2, head_dim=8, sliding_window=8,
            num_local_experts=2, num_experts_per_tok=2, rope_parameters={"rope_type": "default", "rope_theta": 1e4}))
        model.set_experts_implementation("batched_mm")
        return model
    return decoders.build(family, attention)


def export_encoder(family, attention, name, dynamo, opset):
    torch.manual_seed(0)
    model = encoder(family, attention).eval()
    export.randomise(model, seed=sum(map(ord, name)))
    vocab = export.BERT["vocab_size"]
    proto = export.strip(export.export(model, model.inputs, model.outputs, vocab, dynamo=dynamo, opset=opset))
    return proto, export.check(model, export.session(proto.SerializeToString()), model.inputs, vocab, ("batch", "seq"))


def export_decoder(family, attention, name, cached, dynamo, opset):
    torch.manual_seed(0)
    model = decoder(family, attention).eval()
    export.randomise(model, seed=sum(map(ord, name)))
    if dynamo:
        return decoders.export_decoder(model, cached, opset)
    module = (decoders.CachedDecoder if cached else decoders.Decoder)(model).eval()
    feed = decoders.feed_of(model, 2, 5, 3 if cached else None)
    axes = {"input_ids": {0: "batch", 1: "seq"}, "attention_mask": {0: "batch", 1: "total" if cached else "seq"},
            "logits": {0: "batch", 1: "seq"}}
    outputs = ["logits"]
    for past in (n for n in feed if n.startswith("past")):
        present = past.replace("past", "present")
        axes |= {past: {0: "batch", 2: "past"}, present: {0: "batch", 2: "total"}}
        outputs.append(present)
    buffer = io.BytesIO()
    torch.onnx.export(module, tuple(torch.from_numpy(v) for v in feed.values()), buffer, dynamo=False,
                      opset_version=opset, input_names=list(feed), output_names=outputs, dynamic_axes=axes)
    proto = export.strip(onnx.load_from_string(buffer.getvalue()))
    return proto, decoders.differs(module, model, proto, cached)


def variants():
    """Yields (name, function that makes it). transformers has sdpa for some families only."""
    eager_only = ("deberta", "gemma2", "bloom", "gptj", "gptneo", "gptoss")
    exporters = ((True, 18), (True, 20), (True, 23), (False, 17))
    for family in ("albert", "electra", "deberta", "modernbert"):
        for attention in ("eager",) if family in eager_only else ("eager", "sdpa"):
            for dynamo, opset in exporters:
                name = f"{family}-{attention}-{'dynamo' if dynamo else 'ts'}{opset}"
                yield name, lambda o=(family, attention, name, dynamo, opset): export_encoder(*o)
    for family in ("gemma2", "phi", "phi3", "bloom", "qwen3", "qwen2", "gptj", "gptneo", "llama", "mistral", "gpt2",
                   "falcon", "gptoss"):
        for attention in ("eager",) if family in eager_only else ("eager", "sdpa"):
            for cached in (False, True):
                for dynamo, opset in exporters:
                    form = "past" if cached else "decoder"
                    name = f"{family}-{form}-{attention}-{'dynamo' if dynamo else 'ts'}{opset}"
                    yield name, lambda o=(family, attention, name, cached, dynamo, opset): export_decoder(*o)


if __name__ == "__main__":
    sys.exit(export.write_models(__doc__, variants(), COMMITTED))
