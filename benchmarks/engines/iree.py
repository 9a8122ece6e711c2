"""IREE: the graph in standard operators with its exact shapes, imported, compiled for this CPU, run by one task
worker per core (or in the caller's thread)."""

import os
import subprocess
import sys
import tempfile

import machine
from case import cached, fingerprint
from engines import Unsupported

PACKAGES = {"iree-base-compiler": "iree.compiler", "iree-base-runtime": "iree.runtime", "onnx": "onnx"}
SECONDS = 900  # a compilation that takes longer is given up
FLAGS = ["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
         "--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3",
         "--iree-llvmcpu-stack-allocation-limit=131072"]  # a quarter of it fails for MiniLM
LARGE = 1024  # weights with as many elements go into the archive
SCOPE = "model"


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
    """Paths of the module for the case's graph and shapes and of the archive of its weights, made now or
    earlier."""
    graph, outputs = case.plain_graph or case.graph, case.build.get("outputs")
    model = f"{versions()} {outputs} {fingerprint(graph)}"
    module = cached("iree", f"{model} {case.shapes()} {FLAGS} {machine.cpu_key()}", ".vmfb")
    archive = cached("iree", model, ".irpa")  # the same for all shapes
    if not (os.path.exists(module) and os.path.exists(archive)):
        with tempfile.TemporaryDirectory(dir=os.path.dirname(module)) as folder:
            made = _compile(graph, outputs, case.shapes(), folder)
            for source, target in zip(made, (archive, module)):
                os.replace(source, target)
    return module, archive


def _compile(graph, outputs, shapes, folder):
    """Writes archive and module of a graph with fixed shapes to a folder; returns their paths."""
    import onnx

    proto = onnx.load(graph)
    keep_outputs(proto.graph, outputs)
    for value in proto.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name]):
            dim.dim_value = size
    del proto.graph.value_info[:]
    for value in proto.graph.output:  # their sizes follow from the inputs
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    static, imported, archive, module = (os.path.join(folder, name) for name in
                                         ("model.onnx", "model.mlir", "model.irpa", "model.vmfb"))
    onnx.save(onnx.shape_inference.infer_shapes(proto), static)
    tools = os.path.dirname(sys.executable)
    # Weights stay out of the module: with them inside, compiling takes ten times as long.
    _run(os.path.join(tools, "iree-import-onnx"), static, "-o", imported, "--externalize-params",
         "--num-elements-threshold", str(LARGE), "--params-scope", SCOPE, "--save-params-to", archive)
    _run(os.path.join(tools, "iree-compile"), imported, "-o", module, *FLAGS)
    if not os.path.exists(archive):  # the graph has no large weights
        open(archive, "wb").close()
    return archive, module


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

        module_path, archive = compile_case(case)
        graph = onnx.load(case.plain_graph or case.graph, load_external_data=False).graph
        keep_outputs(graph, case.build.get("outputs"))
        self._names = [output.name for output in graph.output]
        self._order = [value.name for value in graph.input]
        context = ireert.SystemContext(config=self._config)
        modules = []
        if os.path.getsize(archive):
            weights = ireert.ParameterIndex()
            weights.load(archive)
            modules.append(ireert.create_io_parameters_module(context.instance, weights.create_provider(scope=SCOPE)))
        with open(module_path, "rb") as f:
            modules.append(ireert.VmModule.copy_buffer(context.instance, f.read()))
        context.add_vm_modules(modules)
        (entry,) = [n for n in modules[-1].function_names if not n.startswith("__") and not n.endswith("$async")]
        self._context, self._function = context, context.modules[modules[-1].name][entry]
        return {}

    def bind(self, feeds):
        import iree.runtime as ireert

        self._feeds = [ireert.asdevicearray(self._config.device, feeds[name]) for name in self._order]

    def run(self):
        self._results = self._function(*self._feeds)

    def outputs(self):
        results = self._results if isinstance(self._results, (list, tuple)) else [self._results]
        return {name: result.to_host() for name, result in zip(self._names, results)}
