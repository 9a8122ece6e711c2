"""Makes the recurrent models of this folder: encoder and decoder with additive attention, tiny, random weights.

    python test/models/export_recurrent.py [--out test/models]

Versions as in export.py. Both take input_ids and attention_mask [batch, source] and decoder_input_ids [batch,
target], and give logits [batch, target, vocabulary]. A bidirectional GRU reads the source; the decoder, a GRU
of its own, attends at each step to the states of the source (Bahdanau et al., 2015): score = v tanh(W h + U s).

    rnn-attention-loop-ts17     torch's TorchScript exporter; the steps are a Loop that writes into a tensor
    rnn-attention-list-ts17     the same with a list that grows by each step's state, a sequence
    rnn-attention-scan-17       onnx.helper; the steps are a Scan, and the encoder knows the source lengths

Every model is run in onnxruntime before it is written, the first one compared with torch.
"""

import argparse
import os
import warnings
from typing import List

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

HIDDEN, VOCAB = 16, 40
AXES = {"input_ids": {0: "batch", 1: "source"}, "attention_mask": {0: "batch", 1: "source"},
        "decoder_input_ids": {0: "batch", 1: "target"}}


@torch.jit.script
def step(x: torch.Tensor, memory: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor, h: torch.Tensor,
         query: torch.Tensor, score: torch.Tensor, w: torch.Tensor, r: torch.Tensor, w_bias: torch.Tensor,
         r_bias: torch.Tensor):
    """The state after one step; x [batch, hidden]."""
    scores = functional.linear(torch.tanh(keys + functional.linear(h, query).unsqueeze(1)), score).squeeze(2)
    weights = torch.softmax(scores + mask, 1)
    context = torch.matmul(weights.unsqueeze(1), memory).squeeze(1)
    given = functional.linear(torch.cat([x, context], 1), w, w_bias).chunk(3, 1)
    own = functional.linear(h, r, r_bias).chunk(3, 1)
    reset, update = torch.sigmoid(given[0] + own[0]), torch.sigmoid(given[1] + own[1])
    candidate = torch.tanh(given[2] + reset * own[2])
    return candidate + update * (h - candidate)


@torch.jit.script
def decode(x: torch.Tensor, memory: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor, h: torch.Tensor,
           query: torch.Tensor, score: torch.Tensor, w: torch.Tensor, r: torch.Tensor, w_bias: torch.Tensor,
           r_bias: torch.Tensor):
    """The states of all steps; x and the result [batch, target, hidden]."""
    states = torch.zeros_like(x)
    for t in range(x.size(1)):
        h = step(x[:, t], memory, keys, mask, h, query, score, w, r, w_bias, r_bias)
        states[:, t] = h
    return states


@torch.jit.script
def decode_into_list(x: torch.Tensor, memory: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor, h: torch.Tensor,
                     query: torch.Tensor, score: torch.Tensor, w: torch.Tensor, r: torch.Tensor,
                     w_bias: torch.Tensor, r_bias: torch.Tensor):
    """The same."""
    states: List[torch.Tensor] = []
    for t in range(x.size(1)):
        h = step(x[:, t], memory, keys, mask, h, query, score, w, r, w_bias, r_bias)
        states.append(h)
    return torch.stack(states, 1)


class Translator(torch.nn.Module):
    def __init__(self, decode):
        super().__init__()
        nn = torch.nn
        self.decode = decode
        self.source, self.target = nn.Embedding(VOCAB, HIDDEN), nn.Embedding(VOCAB, HIDDEN)
        self.encoder = nn.GRU(HIDDEN, HIDDEN, bidirectional=True, batch_first=True)
        self.key, self.start = nn.Linear(2 * HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.query, self.score = nn.Linear(HIDDEN, HIDDEN, bias=False), nn.Linear(HIDDEN, 1, bias=False)
        self.cell, self.logits = nn.GRUCell(3 * HIDDEN, HIDDEN), nn.Linear(HIDDEN, VOCAB)

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        memory, last = self.encoder(self.source(input_ids))
        mask = (1.0 - attention_mask.to(torch.float32)) * -1e9
        states = self.decode(self.target(decoder_input_ids), memory, self.key(memory), mask,
                        torch.tanh(self.start(last[1])), self.query.weight, self.score.weight, self.cell.weight_ih,
                        self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh)
        return self.logits(states)


def feeds():
    mask = np.ones((3, 6), np.int64)
    mask[1, 4:] = 0
    return {"input_ids": np.arange(18).reshape(3, 6) % VOCAB, "attention_mask": mask,
            "decoder_input_ids": np.arange(12).reshape(3, 4) % VOCAB}


def run(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds())[0]


def export_loop(path, decode):
    torch.manual_seed(1)
    model = Translator(decode).eval()
    # Traced with other sizes than those of the check below.
    example = tuple(torch.ones(2, n, dtype=torch.long) for n in (5, 5, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, example, path, dynamo=False, opset_version=17, input_names=list(AXES),
                          output_names=["logits"], dynamic_axes={**AXES, "logits": {0: "batch", 1: "target"}})
    with torch.no_grad():
        want = model(*(torch.from_numpy(array) for array in feeds().values())).numpy()
    assert np.abs(run(path) - want).max() < 1e-5


def export_scan(path):
    rng = np.random.default_rng(2)
    constants = []

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(name, *shape):
        return constant(name, (rng.standard_normal(shape) * 0.4).astype(np.float32))

    def info(name, kind, *dims):
        return helper.make_tensor_value_info(name, kind, dims)

    node, real = helper.make_node, TensorProto.FLOAT
    body = helper.make_graph([
        node("MatMul", ["h", weight("query", HIDDEN, HIDDEN)], ["q"]),
        node("Unsqueeze", ["q", constant("axis1", np.array([1]))], ["q1"]),
        node("Add", ["keys", "q1"], ["sums"]),
        node("Tanh", ["sums"], ["bent"]),
        node("MatMul", ["bent", weight("score", HIDDEN, 1)], ["scores3"]),
        node("Squeeze", ["scores3", constant("axis2", np.array([2]))], ["scores"]),
        node("Where", ["seen", "scores", constant("least", np.float32(-1e9))], ["masked"]),
        node("Softmax", ["masked"], ["weights"], axis=-1),
        node("Unsqueeze", ["weights", "axis1"], ["weights1"]),
        node("MatMul", ["weights1", "memory"], ["context1"]),
        node("Squeeze", ["context1", "axis1"], ["context"]),
        node("Concat", ["x", "context"], ["given"], axis=1),
        node("Gemm", ["given", weight("w", 2 * HIDDEN, 3 * HIDDEN), weight("b", 3 * HIDDEN)], ["projected"]),
        node("MatMul", ["h", weight("r", HIDDEN, 3 * HIDDEN)], ["recurrent"]),
        node("Split", ["projected", constant("thirds", np.array([HIDDEN] * 3))], ["p0", "p1", "p2"], axis=1),
        node("Split", ["recurrent", "thirds"], ["r0", "r1", "r2"], axis=1),
        node("Add", ["p0", "r0"], ["reset_in"]), node("Sigmoid", ["reset_in"], ["reset"]),
        node("Add", ["p1", "r1"], ["update_in"]), node("Sigmoid", ["update_in"], ["update"]),
        node("Mul", ["reset", "r2"], ["kept"]), node("Add", ["p2", "kept"], ["candidate_in"]),
        node("Tanh", ["candidate_in"], ["candidate"]), node("Sub", ["h", "candidate"], ["change"]),
        node("Mul", ["update", "change"], ["taken"]), node("Add", ["candidate", "taken"], ["h_next"]),
        node("Identity", ["h_next"], ["h_shown"]), node("Identity", ["weights"], ["weights_shown"]),
    ], "step", [info("h", real, None, HIDDEN), info("x", real, None, HIDDEN)],
        [info("h_next", real, None, HIDDEN), info("h_shown", real, None, HIDDEN),
         info("weights_shown", real, None, None)])
    nodes = [
        node("Gather", [weight("embedding", VOCAB, HIDDEN), "input_ids"], ["source"]),
        node("Transpose", ["source"], ["source_first"], perm=[1, 0, 2]),
        node("ReduceSum", ["attention_mask", constant("axis_1", np.array([1]))], ["lengths64"], keepdims=0),
        node("Cast", ["lengths64"], ["lengths"], to=TensorProto.INT32),
        node("GRU", ["source_first", weight("W", 2, 3 * HIDDEN // 2, HIDDEN), weight("R", 2, 3 * HIDDEN // 2, HIDDEN // 2),
                     weight("B", 2, 3 * HIDDEN), "lengths"], ["states", "last"], direction="bidirectional",
             hidden_size=HIDDEN // 2, linear_before_reset=1),
        node("Transpose", ["states"], ["states_first"], perm=[2, 0, 1, 3]),
        node("Reshape", ["states_first", constant("merged", np.array([0, 0, HIDDEN]))], ["memory"]),
        node("MatMul", ["memory", weight("U", HIDDEN, HIDDEN)], ["keys"]),
        node("Cast", ["attention_mask"], ["seen"], to=TensorProto.BOOL),
        node("Transpose", ["last"], ["last_first"], perm=[1, 0, 2]),
        node("Reshape", ["last_first", constant("flat", np.array([0, HIDDEN]))], ["start"]),
        node("Gather", [weight("target_embedding", VOCAB, HIDDEN), "decoder_input_ids"], ["target"]),
        node("Scan", ["start", "target"], ["final", "outputs", "attention"], body=body, num_scan_inputs=1,
             scan_input_axes=[1], scan_output_axes=[1, 1]),
        node("MatMul", ["outputs", weight("out", HIDDEN, VOCAB)], ["logits"]),
    ]
    ids = TensorProto.INT64
    graph = helper.make_graph(
        nodes, "rnn-attention-scan", [info(name, ids, *axes.values()) for name, axes in AXES.items()],
        [info("logits", real, "batch", "target", VOCAB), info("attention", real, "batch", "target", "source")],
        constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    assert run(path).shape == (3, 4, VOCAB)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    folder = parser.parse_args().out
    torch.set_num_threads(1)
    export_loop(os.path.join(folder, "rnn-attention-loop-ts17.onnx"), decode)
    export_loop(os.path.join(folder, "rnn-attention-list-ts17.onnx"), decode_into_list)
    export_scan(os.path.join(folder, "rnn-attention-scan-17.onnx"))


if __name__ == "__main__":
    main()
