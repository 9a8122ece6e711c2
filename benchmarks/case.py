"""One problem of a suite: what the engines compute, on which arrays, and how much work it is."""

import dataclasses
import functools
import hashlib
import os

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("RAPT_BENCH_BUILD") or os.path.join(ROOT, "build")
CACHE = os.path.join(BUILD, "bench")
LINE = 64  # bytes of a cache line, and of the widest vector


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
        return " ".join(f"{key} {value}" for key, value in self.dims.items())

    def shapes(self):
        """{input: shape}"""
        return {name: array.shape for name, array in self.feeds.items()}


@functools.cache
def fingerprint(graph):
    """A text that changes with the ONNX file `graph` or the files of weights that it names."""
    import onnx

    with open(graph, "rb") as f:
        texts = [hashlib.sha256(f.read()).hexdigest()]
    files = {e.value for t in onnx.load(graph, load_external_data=False).graph.initializer
             for e in t.external_data if e.key == "location"}
    for name in sorted(files):
        about = os.stat(os.path.join(os.path.dirname(graph), name))
        texts.append(f"{name} {about.st_size} {about.st_mtime_ns}")
    return " ".join(texts)


def aligned(arrays):
    """Copies of {name: array} that begin at a cache line, so that no engine meets a better address than another. An
    array under two names is copied once."""
    copies = {}
    for array in arrays.values():
        if id(array) not in copies:
            room = np.empty(array.nbytes + LINE, np.uint8)
            start = -room.ctypes.data % LINE
            copy = room[start:start + array.nbytes].view(array.dtype).reshape(array.shape)
            copy[...] = array
            copies[id(array)] = copy
    return {name: copies[id(array)] for name, array in arrays.items()}


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
