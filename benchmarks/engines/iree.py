"""IREE: the graph in standard operators with its exact shapes, imported, compiled for this CPU, run by one task
worker per core (or in the caller's thread)."""

import hashlib
import os
import subprocess
import sys

from case import cached
from engines import Unsupported

PACKAGES = {"iree-base-compiler": "iree.compiler", "iree-base-runtime": "iree.runtime", "onnx": "onnx"}
SECONDS = 900  # a compilation that takes longer is given up


def versions():
    import iree.compiler.version
    import iree.runtime.version

    return {"iree-compiler": iree.compiler.version.VERSION, "iree-runtime": iree.runtime.version.VERSION}


def _run(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unsupported(f"{os.path.basename(command[0])}: not done after {SECONDS} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr[-200:]]
        raise Unsupported(f"{os.path.basename(command[0])}: {lines[0].strip()[:300]}")


def compile_case(case):
    """Path of the module for the case's graph and shapes, made now or earlier; weights are inside."""
    import onnx

    graph = case.plain_graph or case.graph
    shapes = {name: array.shape for name, array in case.feeds.items()}
    with open(graph, "rb") as f:
        key = f"{versions()} {case.build.get('outputs')} {hashlib.sha256(f.read()).hexdigest()} {shapes}"
    path = cached("iree", key, ".vmfb")
    if os.path.exists(path):
        return path
    proto = onnx.load(graph)
    keep_outputs(proto.graph, case.build.get("outputs"))
    for value in proto.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name]):
            dim.dim_value = size
    del proto.graph.value_info[:]
    for value in proto.graph.output:  # their sizes follow from the inputs
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    static = path[:-5] + ".onnx"
    onnx.save(onnx.shape_inference.infer_shapes(proto), static)
    folder = os.path.dirname(sys.executable)
    try:
        _run(os.path.join(folder, "iree-import-onnx"), static, "-o", path[:-5] + ".mlir")
        _run(os.path.join(folder, "iree-compile"), path[:-5] + ".mlir", "-o", path + ".part",
             "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
             "--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3")
        os.replace(path + ".part", path)
    finally:
        for ending in (".onnx", ".mlir"):
            if os.path.exists(path[:-5] + ending):
                os.remove(path[:-5] + ending)
    return path


def keep_outputs(graph, names):
    """Cuts `graph` to the outputs `names` (None: all) and the nodes that they need."""
    if names is None:
        return
    kept, needed = [], set(names)
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    outputs = [output for output in graph.output if output.name in names]
    del graph.node[:], graph.output[:]
    graph.node.extend(reversed(kept))
    graph.output.extend(outputs)


class Engine:
    def __init__(self, _name, _flags, threads):
        import iree.runtime as ireert

        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        if threads > 1:
            ireert.flags.parse_flags(f"--task_topology_cpu_ids={cores}")
        self._config = ireert.Config("local-task" if threads > 1 else "local-sync")

    def load(self, case):
        import iree.runtime as ireert
        import onnx

        path = compile_case(case)
        graph = onnx.load(case.plain_graph or case.graph, load_external_data=False).graph
        keep_outputs(graph, case.build.get("outputs"))
        self._names = [output.name for output in graph.output]
        self._order = [value.name for value in graph.input]
        context = ireert.SystemContext(config=self._config)
        with open(path, "rb") as f:
            context.add_vm_module(ireert.VmModule.copy_buffer(context.instance, f.read()))
        (module,) = [m for name, m in context.modules.items() if name not in ("hal", "local")]
        (entry,) = [n for n in module.vm_module.function_names if not n.startswith("__") and not n.endswith("$async")]
        self._context, self._function = context, module[entry]
        return {}

    def bind(self, feeds):
        import iree.runtime as ireert

        self._feeds = [ireert.asdevicearray(self._config.device, feeds[name]) for name in self._order]

    def run(self):
        self._results = self._function(*self._feeds)

    def outputs(self):
        results = self._results if isinstance(self._results, (list, tuple)) else [self._results]
        return {name: result.to_host() for name, result in zip(self._names, results)}
