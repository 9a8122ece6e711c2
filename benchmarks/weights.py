"""Writes random weights for a committed graph whose own were left out.

    python benchmarks/weights.py test/models/bert-base.onnx FOLDER

Makes the file that the graph's external data names (`bert-base.weights`) in FOLDER, from a seeded
generator: 1 for the scale of a LayerNorm, 0 for its shift, else a normal distribution of deviation 0.02, as
BERT is initialised. Nothing is done when the file has the right size already.
"""

import os
import sys

import numpy as np
import onnx

SEED = 20


def entries(model):
    """(offset, bytes, name, shape) of every external initialiser in the order of the file, and the file's
    name; they must be float32, in one file and back to back."""
    found, locations = [], set()
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        where = {e.key: e.value for e in tensor.external_data}
        locations.add(where["location"])
        found.append((int(where["offset"]), int(where["length"]), tensor.name, tuple(tensor.dims)))
        if tensor.data_type != onnx.TensorProto.FLOAT:
            raise ValueError(f"{tensor.name}: expected float32")
    found.sort()
    end = 0
    for offset, length, name, _ in found:
        if offset != end:
            raise ValueError(f"{name}: offset {offset}, expected {end}")
        end += length
    if len(locations) != 1:
        raise ValueError(f"expected one weight file, the graph names {sorted(locations)}")
    return found, locations.pop(), end


def write(graph, folder):
    """Writes the weight file of the model at path `graph`; returns its path."""
    found, location, size = entries(onnx.load(graph, load_external_data=False))
    path = os.path.join(folder, location)
    if os.path.exists(path) and os.path.getsize(path) == size:
        return path
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(SEED)
    with open(path + ".part", "wb") as f:
        for _, _, name, shape in found:
            if "LayerNorm" in name:
                values = np.full(shape, float(name.endswith("weight")), np.float32)
            else:
                values = np.float32(0.02) * rng.standard_normal(shape, np.float32)
            f.write(values.tobytes())
    os.replace(path + ".part", path)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: weights.py GRAPH FOLDER")
    print(write(sys.argv[1], sys.argv[2]))
