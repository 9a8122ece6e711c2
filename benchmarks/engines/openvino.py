"""OpenVINO's CPU plugin for latency, in f32, compiled for the case's exact shapes."""

import numpy as np

from engines import Unsupported
from suites import attention as layout

PACKAGES = {"openvino": "openvino"}


def versions():
    import openvino

    return {"openvino": openvino.get_version()}


def attention(build, feeds):
    """A model with one ScaledDotProductAttention on [batch, heads, tokens, head size]; keys and values of
    fewer heads are broadcast as exported models do it. Returns (model, {name: array in that layout})."""
    import openvino
    from openvino import opset13 as ops

    heads, kv_heads = build["heads"], build["kv_heads"]
    arrays = layout.heads_first(build, feeds)
    inputs = {name: ops.parameter(array.shape, openvino.Type(array.dtype), name=name)
              for name, array in arrays.items()}

    def widened(name):
        batch, _, tokens, size = arrays[name].shape
        group = heads // kv_heads
        if group == 1:
            return inputs[name]
        wide = ops.broadcast(ops.unsqueeze(inputs[name], ops.constant(2, np.int64)),
                             np.array([batch, kv_heads, group, tokens, size]))
        return ops.reshape(wide, np.array([batch, heads, tokens, size]), special_zero=False)

    mask = {"attention_mask": inputs["mask"]} if "mask" in arrays else {}
    result = ops.scaled_dot_product_attention(inputs["query"], widened("key"), widened("value"),
                                              causal=build["mask"] == "causal", **mask)
    return openvino.Model([result], list(inputs.values()), "attention"), arrays


class Engine:
    def __init__(self, _name, _flags, threads):
        import openvino

        self._core = openvino.Core()
        self._config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY",
                        "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
        self._arrays = None

    def load(self, case):
        self._request = self._arrays = None
        self._case = case
        if case.build.get("kind") == "attention":
            model, self._arrays = attention(case.build, case.feeds)
        else:
            model = self._core.read_model(case.graph)
            model.reshape({name: list(array.shape) for name, array in case.feeds.items()})
        compiled = self._core.compile_model(model, "CPU", self._config)
        if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != "f32":
            raise Unsupported("does not compute in f32 here")
        self._request = compiled.create_infer_request()
        return {}

    def bind(self, feeds):
        import openvino

        feeds = self._arrays or feeds
        self._bound = [openvino.Tensor(array, shared_memory=True) for array in feeds.values()]
        for name, tensor in zip(feeds, self._bound):
            if self._arrays:
                self._request.set_input_tensor(list(feeds).index(name), tensor)
            else:
                self._request.set_tensor(name, tensor)

    def run(self):
        self._request.infer(share_outputs=True)

    def outputs(self):
        results = self._request.results
        if self._arrays:
            (array,) = results.values()
            return {"output": layout.as_given(self._case.build, array)}
        return {port.get_any_name(): array for port, array in results.items()}
