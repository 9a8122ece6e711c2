"""PyTorch: F.scaled_dot_product_attention, F.linear, and transformers' BertModel with sdpa attention; eager, or
(inductor) through torch.compile for the exact shapes."""

import numpy as np

from engines import Unsupported
from suites import attention as layout

PACKAGES = {"torch": "torch", "transformers": "transformers", "onnx": "onnx"}


def versions():
    import torch
    import transformers

    return {"torch": torch.__version__, "transformers": transformers.__version__}


def encoder(case):
    """BertModel of the case's sizes with the weights of its graph; a function of the feeds."""
    import os

    import onnx
    import torch
    from transformers import BertConfig, BertModel

    build = case.build
    config = BertConfig(vocab_size=build["vocabulary"], hidden_size=build["hidden"],
                        num_hidden_layers=build["layers"], num_attention_heads=build["heads"],
                        intermediate_size=build["inner"], hidden_act="gelu",
                        layer_norm_eps=1e-12, attn_implementation="sdpa")
    model = BertModel(config, add_pooling_layer=build["pooler"]).eval()
    state = {}
    for tensor in onnx.load(case.graph, load_external_data=False).graph.initializer:
        _, _, name = tensor.name.partition(".")  # the exported module's own name comes first
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            where = {e.key: e.value for e in tensor.external_data}
            array = np.fromfile(os.path.join(os.path.dirname(case.graph), where["location"]), np.float32,
                                int(where["length"]) // 4, offset=int(where["offset"]))
            state[name] = torch.from_numpy(array.reshape(tuple(tensor.dims)))
    missing, _ = model.load_state_dict(state, strict=False)
    if any("position_ids" not in name and "token_type_ids" not in name for name in missing):
        raise Unsupported(f"the graph has no weights for {missing[:3]}")

    def run(input_ids, attention_mask, token_type_ids):
        result = model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        outputs = {"last_hidden_state": result.last_hidden_state}
        if build["pooler"]:
            outputs["pooler_output"] = result.pooler_output
        return outputs
    return run


def attention(build):
    """A function of [batch, heads, tokens, head size] arrays."""
    import torch.nn.functional as F

    causal, grouped = build["mask"] == "causal", build["heads"] != build["kv_heads"]

    def run(query, key, value, mask=None):
        return {"output": F.scaled_dot_product_attention(query, key, value, attn_mask=mask,
                                                         is_causal=causal, enable_gqa=grouped)}
    return run


def linears(case):
    """A function that applies every copy's weights to its own input."""
    import onnx
    import torch
    import torch.nn.functional as F

    values = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy())
              for t in onnx.load(case.graph).graph.initializer}
    # A layout that F.linear takes without packing: [outputs, inputs].
    weights = [(values[f"w{i}"].t().contiguous(), values[f"b{i}"]) for i in range(case.copies)]
    gelu = case.build["gelu"]

    def run(**inputs):
        outputs = {}
        for i, (weight, bias) in enumerate(weights):
            y = F.linear(inputs[f"x{i}"], weight, bias)
            outputs[f"y{i}"] = F.gelu(y) if gelu else y
        return outputs
    return run


class Engine:
    def __init__(self, name, _flags, threads):
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self._compiled = name == "inductor"
        if self._compiled:
            import torch._inductor.config

            torch._inductor.config.freezing = True  # weights are constants, laid out when compiling
        self._mode = torch.no_grad() if self._compiled else torch.inference_mode()
        self._mode.__enter__()  # for good
        self._source = self._function = self._results = None

    def load(self, case):
        import torch

        self._case = case
        if case.graph != self._source:
            kind = case.build["kind"]
            if kind == "attention":
                self._function = attention(case.build)
            elif kind == "gemm":
                self._function = linears(case)
            elif kind == "call":
                self._function = lambda x: {"y": torch.relu(x)}
            elif kind == "encoder":
                self._function = encoder(case)
            else:
                raise Unsupported("knows no ONNX graph, only the suites' own models")
            if self._compiled:
                self._function = torch.compile(self._function, dynamic=False)
            self._source = case.graph
        return {}

    def bind(self, feeds):
        import torch

        if self._case.build["kind"] == "attention":
            feeds = layout.heads_first(self._case.build, feeds)
        self._feeds = {name: torch.from_numpy(array) for name, array in feeds.items()}

    def run(self):
        self._results = self._function(**self._feeds)

    def outputs(self):
        arrays = {name: tensor.numpy() for name, tensor in self._results.items()}
        if self._case.build["kind"] == "attention":
            arrays["output"] = layout.as_given(self._case.build, arrays["output"])
        return arrays
