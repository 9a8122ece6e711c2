"""Makes gpt2-positions-sdpa-dynamo18.onnx: a decoder with position_ids, and its cache named as Optimum does.

    python test/models/export_positions.py [--out test/models]

Versions as in export.py; the model is the gpt2-past one of export_decoders.py with an input more, position_ids
[batch, seq], and past_key_values.<layer>.key, present.<layer>.key in the place of past_key_<layer> and
present_key_<layer>. It is run in onnxruntime and compared with torch before it is written.
"""

import argparse
import logging
import os
import warnings

import numpy as np
import onnx
import torch

import export
import export_decoders
from export_decoders import LAYERS

NAME = "gpt2-positions-sdpa-dynamo18"


class Decoder(export_decoders.CachedDecoder):
    def forward(self, input_ids, attention_mask, position_ids, a, b, c, d):
        cache = export_decoders.transformers.DynamicCache([(a, b), (c, d)])
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                            past_key_values=cache, use_cache=True)
        present = [tensor for layer in result.past_key_values.layers for tensor in (layer.keys, layer.values)]
        return result.logits, *present


def feed_of(model, batch, seq, past):
    feed = export_decoders.feed_of(model, batch, seq, past, seed=seq)
    caches = [feed.pop(f"past_{kind}_{layer}") for layer in range(LAYERS) for kind in ("key", "value")]
    feed["position_ids"] = np.tile(np.arange(past, past + seq), (batch, 1))
    names = [f"past_key_values.{layer}.{kind}" for layer in range(LAYERS) for kind in ("key", "value")]
    return feed | dict(zip(names, caches))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = export_decoders.build("gpt2", "sdpa").eval()
    export.randomise(model, seed=sum(map(ord, NAME)))
    module = Decoder(model).eval()
    feed = feed_of(model, 2, 5, 3)
    ids = {0: "batch", 1: "seq"}
    axes = [ids, {0: "batch", 1: "total"}, ids] + [{0: "batch", 2: "past"}] * 4
    outputs = ["logits"] + [name.replace("past_key_values", "present") for name in feed if "past" in name]
    program = torch.onnx.export(module, tuple(torch.from_numpy(v) for v in feed.values()), dynamo=True,
                                opset_version=18, optimize=False, verbose=False, input_names=list(feed),
                                output_names=outputs, dynamic_shapes=tuple(axes))
    proto = export.strip(program.model_proto)
    run = export.session(proto.SerializeToString())
    for shape in ((2, 5, 3), (1, 1, 7), (3, 4, 1)):
        feed = feed_of(model, *shape)
        with torch.no_grad():
            expected = module(*(torch.from_numpy(v) for v in feed.values()))
        for got, want in zip(run.run(None, feed), expected):
            assert np.abs(got - want.numpy()).max() < 1e-3
    onnx.save(proto, os.path.join(args.out, NAME + ".onnx"))


if __name__ == "__main__":
    main()
