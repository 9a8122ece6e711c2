"""One problem of a suite: what the engines compute, on which arrays, and how much work it is."""

import dataclasses
import hashlib
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("RAPT_BENCH_BUILD") or os.path.join(ROOT, "build")
CACHE = os.path.join(BUILD, "bench")


@dataclasses.dataclass
class Case:
    """suite: its name. dims: what tells the rows of a table apart, in the order of its columns.

    graph: path of the ONNX model; plain_graph: the same in standard operators of opset 17 for engines that
    know no attention operator (empty: graph). Weights lie beside the graph or in it. feeds: {input: array}.
    flops and traffic: floating point operations and bytes that a run needs at least. copies: how many equal
    problems one run computes. build: what an engine without ONNX needs to know, by the suite's own names.
    """

    suite: str
    dims: dict
    graph: str
    feeds: dict
    flops: float
    traffic: float
    plain_graph: str = ""
    copies: int = 1
    build: dict = dataclasses.field(default_factory=dict)

    def title(self):
        return " ".join(f"{key}={value}" for key, value in self.dims.items())


def cached(kind, key, ending):
    """A path in the cache of graphs and artifacts for content that follows from `key`, a text or bytes;
    its folder exists."""
    data = key if isinstance(key, bytes) else key.encode()
    folder = os.path.join(CACHE, kind)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, hashlib.sha256(data).hexdigest()[:20] + ending)


def save_graph(model):
    """Writes an onnx.ModelProto to the cache; returns its path."""
    data = model.SerializeToString(deterministic=True)
    path = cached("graphs", data, ".onnx")
    if not os.path.exists(path):
        with open(path + ".part", "wb") as f:
            f.write(data)
        os.replace(path + ".part", path)
    return path
