"""Peak memory of raptc on models with 64 MB of weights beside a model with few.

    peak.py RAPTC FOLDER

The peak is that of the largest process, raptc or a tool that it starts, at most 2.2 times the weights above
the peak of the small model.
"""

import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, LAYERS = 2048, 4

# A process of its own, and a small one: what the caller of exec has in memory counts as well.
MEASURE = """
import os, resource, sys
status = os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(status)
"""


def peak(*command):
    done = subprocess.run([sys.executable, "-S", "-c", MEASURE, *command], stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


def write(path, width, misaligned=False, external=False):
    """`LAYERS` matrix products; the last weight is multiplied as it lies, the others transposed."""
    rng = np.random.default_rng(3)
    weights = [numpy_helper.from_array(rng.standard_normal((width, width), np.float32), f"w{i}")
               for i in range(LAYERS)]
    nodes, last = [], "x"
    for i in range(LAYERS):
        name = f"w{i}"
        if i + 1 < LAYERS:
            nodes.append(helper.make_node("Transpose", [name], [f"t{i}"], perm=[1, 0]))
            name = f"t{i}"
        nodes.append(helper.make_node("MatMul", [last, name], [f"y{i}"]))
        last = f"y{i}"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "products", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if misaligned:  # one more byte in front moves all payloads
        for length in range(1, 5):
            model.producer_name = "x" * length
            data = model.SerializeToString()
            if data.find(weights[0].raw_data[:64]) % 4:
                break
        else:
            raise AssertionError("no length of the producer's name misaligns the first weight")
    onnx.save(model, path, save_as_external_data=external, location=os.path.basename(path) + ".data")


raptc, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
output = os.path.join(folder, "model")
write(os.path.join(folder, "small.onnx"), 64)
small = peak(raptc, os.path.join(folder, "small.onnx"), "-o", output + ".so")
weights = 4 * LAYERS * WIDTH * WIDTH
for name, form, suffix in [("external", {"external": True}, ".so"), ("external", {"external": True}, ".o"),
                           ("misaligned", {"misaligned": True}, "")]:
    path = os.path.join(folder, name + ".onnx")
    for file in (path, path + ".data"):
        if os.path.exists(file):
            os.remove(file)
    write(path, WIDTH, **form)
    used = peak(raptc, path, "-o", output + suffix)
    size = os.path.getsize(output + suffix)
    print(f"{name} {suffix}: {used / 1e6:.0f} MB, small model {small / 1e6:.0f} MB, weights {weights / 1e6:.0f} MB")
    assert size >= weights, (name, suffix, size)
    assert used - small <= 2.2 * weights, (name, suffix, used, small)
