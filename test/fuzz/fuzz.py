"""Random graphs (graphs.py), compiled and compared.

    fuzz.py --raptc R --rapt-run R --seed 1 --count 500 [--keep FOLDER]

Each graph runs with fused attention, with attention that cannot be fused (its probabilities are outputs), with
reference kernels, and in onnxruntime without optimisations, at two sizes of its symbolic dims. Every element
must lie within a tolerance of the largest one of its output; where it does not, the same graph in float64 says
whether Rapt is further off than onnxruntime is. Exit code 1 when that is so, or when a tool fails; with
--keep, the graph is then cut down to what still goes wrong and saved with its inputs.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.reference
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

import e2e  # noqa: E402
import graphs  # noqa: E402

TOLERANCE = {TensorProto.FLOAT: 2e-5, TensorProto.FLOAT16: 1e-2, TensorProto.DOUBLE: 2e-5}
BFLOAT_TOLERANCE = 5e-2
LOWEST = float(np.finfo(np.float32).min)
FORMS = {"fused": (False, "halide"), "unfused": (True, "halide"), "reference": (False, "reference")}


def in_float64(model, narrow=frozenset()):
    """The same graph with float64 in the place of f32 and f16, but for com.microsoft's operators and nodes of the
    names `narrow`."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    widen(wide.graph, narrow)
    return wide


def widen(graph, narrow):
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    for tensor in graph.initializer:
        if tensor.data_type in floats:
            array = numpy_helper.to_array(tensor).astype(np.float64)
            array[array == LOWEST] = np.finfo(np.float64).min  # of which a sum is infinite, too
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type in floats:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    nodes = []
    for node in graph.node:
        narrowing = None
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in floats:
                narrowing = attribute.i
            elif attribute.HasField("g"):
                widen(attribute.g, narrow)
            elif node.op_type == "ConstantOfShape":
                array = numpy_helper.to_array(attribute.t).astype(np.float64)
                attribute.t.CopyFrom(numpy_helper.from_array(array))
        if narrowing:
            nodes += overflowing_cast(node, narrowing)
            continue
        stays = node.domain == "" and node.op_type != "Resize" and node.name not in narrow
        nodes += [node] if stays else in_float32(node)
    del graph.node[:]
    graph.node.extend(nodes)


def without_bfloat(model):
    """The same graph with f32 in the place of bf16, to which only casts round."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for tensor in wide.graph.initializer:
        if tensor.data_type == TensorProto.BFLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for value in wide.graph.output:
        if value.type.tensor_type.elem_type == TensorProto.BFLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    nodes = []
    for node in wide.graph.node:
        nodes.append(node)
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.BFLOAT16:
            narrow = node.output[0] + "_narrow"
            nodes.append(helper.make_node("Cast", [narrow], [node.output[0]], to=TensorProto.FLOAT))
            node.output[0] = narrow
    del wide.graph.node[:]
    wide.graph.node.extend(nodes)
    return wide


def overflowing_cast(node, kind):
    """A Cast to float64 that gives the infinities of one to `kind`."""
    (x,), (y,) = node.input, node.output
    cast = lambda source, name, to: helper.make_node("Cast", [source], [y + name], to=to)
    return [cast(x, "_exact", TensorProto.DOUBLE), cast(x, "_narrow", kind),
            cast(y + "_narrow", "_wide", TensorProto.DOUBLE), helper.make_node("IsInf", [y + "_wide"], [y + "_over"]),
            helper.make_node("Where", [y + "_over", y + "_wide", y + "_exact"], [y])]


# Operands that are integers, or floats beside the numbers.
OTHERS = {"GroupQueryAttention": (5, 6), "MultiHeadAttention": (4,), "Attention": (3,), "RotaryEmbedding": (1,),
          "Resize": (2,), "RNN": (4,), "GRU": (4,), "LSTM": (4,), "OneHot": (0, 1)}


def in_float32(node):
    """A node without a float64 kernel between casts."""
    casts, inside, behind = [], onnx.NodeProto(), []
    inside.CopyFrom(node)
    for i, name in enumerate(node.input):
        if name and i not in OTHERS.get(node.op_type, ()):
            inside.input[i] = f"{node.name}_in{i}"
            casts.append(helper.make_node("Cast", [name], [inside.input[i]], to=TensorProto.FLOAT))
    for i, name in enumerate(node.output):
        if name:
            inside.output[i] = f"{node.name}_out{i}"
            behind.append(helper.make_node("Cast", [inside.output[i]], [name], to=TensorProto.DOUBLE))
    return [*casts, inside, *behind]


# ONNX's reference takes no absolute values in LpNormalization of p = 1, and joins what Loop stacks.
MISTAKEN = {"LpNormalization", "Loop"}


def truth(model, feeds):
    """The outputs in float64, by onnxruntime or, where it has no such kernel, by ONNX's reference, or else by
    onnxruntime with nodes in f32 that it has no other kernels of."""
    feeds = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in feeds.items()}
    narrow, said = set(), ""
    for _ in range(1 + len(model.graph.node)):
        wide = in_float64(model, narrow)
        try:
            return e2e.Oracle(wide.SerializeToString()).run(feeds)
        except Exception as failure:  # onnxruntime's exceptions have no common base
            said = str(failure)
        if not narrow and not MISTAKEN & {node.op_type for node in wide.graph.node}:
            try:
                names = [output.name for output in wide.graph.output]
                return dict(zip(names, onnx.reference.ReferenceEvaluator(wide).run(None, feeds)))
            except Exception:  # nor have those of the reference, which does not know every form
                pass
        missing = re.search(r"(?:with name '|in node \(|Name:')(\w+)", said)
        if not missing or missing[1] in narrow:
            break
        narrow.add(missing[1])
    raise ValueError(f"no float64 reference: {said}")


def largest(array):
    return float(np.abs(array).max(initial=0.0))


def misses(got, want, exact, tolerance):
    """The elements of `got` that are wrong: further from float64 than `tolerance` of the largest element, and than eight
    times what onnxruntime's `want` is off anywhere. What is beyond the element type in float64 is infinite, or near the
    largest number. What onnxruntime gives is right, too: where its numbers overflow, those of float64 do not."""
    most = float(np.finfo(got.dtype).max)
    with np.errstate(over="ignore"):
        exact = np.asarray(exact).astype(got.dtype).astype(np.float64)
    own, other = got.astype(np.float64), want.astype(np.float64)
    scale = largest(exact[np.isfinite(exact)])
    both = np.isfinite(exact) & np.isfinite(other)
    bound = max(tolerance * scale, 8 * largest(exact[both] - other[both]))

    def close(a, b, bound):
        distance = np.abs(np.clip(a, -most, most) - np.clip(b, -most, most))
        near = distance <= np.where(np.isinf(a) | np.isinf(b), tolerance * most, bound)
        return near | (np.isnan(a) & np.isnan(b))
    return ~(close(own, exact, bound) | close(own, other, tolerance * scale))


def judge(got, want, model, feeds, tolerance, what):
    """Raises e2e.Failure when `got` is wrong."""
    try:
        e2e.compare(got, want, tolerance, what)
        return
    except e2e.Failure as failure:
        if sorted(got) != sorted(want) or any(
                got[n].dtype != want[n].dtype or got[n].shape != want[n].shape or got[n].dtype.kind != "f"
                and not np.array_equal(got[n], want[n]) for n in want):
            raise
        exact = truth(model, feeds)
        for name in want:
            if want[name].dtype.kind != "f":
                continue
            wrong = misses(got[name], want[name], exact[name], tolerance)
            if wrong.any():
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise e2e.Failure(f"{failure}; {np.count_nonzero(wrong)} elements of {name} are far from float64, "
                                  f"{list(at)} is {got[name][at]}, in onnxruntime {want[name][at]}, in float64 "
                                  f"{np.asarray(exact[name])[at]}") from failure


def run_form(form, model, kernels, samples, args, folder, tolerance):
    source, artifact = os.path.join(folder, f"{form}.onnx"), os.path.join(folder, f"{form}.so")
    onnx.save(model, source)
    e2e.compile_model(args.raptc, source, artifact, [f"--kernels={kernels}"])
    for which, (feeds, want) in enumerate(samples):
        got = e2e.run_model(args.rapt_run, artifact, feeds, folder)
        judge(got, want, without_bfloat(model), feeds, tolerance, f"{form} {which}")


def check_model(models, feeds, args, tolerance):
    """Compares a graph, given as {form: ModelProto}, on each of `feeds`."""
    oracles = {id(model): e2e.Oracle(without_bfloat(model).SerializeToString()) for model in models.values()}
    with tempfile.TemporaryDirectory() as folder:
        for form, model in models.items():
            samples = [(feed, oracles[id(model)].run(feed)) for feed in feeds]
            run_form(form, model, FORMS[form][1], samples, args, folder, tolerance)


def has_answer(model, feeds):
    """Whether onnxruntime runs a model: some dims of 0 it refuses, by some it divides, so it has a process."""
    run = ("import sys, numpy, e2e; "
           "e2e.Oracle(open(sys.argv[1], 'rb').read()).run(dict(numpy.load(sys.argv[2])))")
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("model.onnx", "feeds.npz")]
        onnx.save(model, files[0])
        np.savez(files[1], **feeds)
        done = subprocess.run([sys.executable, "-c", run, *files], cwd=os.path.dirname(e2e.__file__),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def check_seed(seed, args):
    """A description of what is wrong with the graph of a seed, or None; and the number of its attentions."""
    graph = graphs.generate(seed)
    fused, unfused = graph.model(), graph.model(unfused=True)
    feeds = [graph.feeds(which) for which in range(2 if graph.symbolic else 1)]
    models = {form: unfused if splits else fused for form, (splits, _) in FORMS.items()
              if graph.probabilities or not splits}
    tolerance = BFLOAT_TOLERANCE if graph.bfloat else TOLERANCE[TensorProto.FLOAT16 if graph.narrows else graph.real]
    if graph.empty and not has_answer(fused, feeds[1]):
        return None, 0
    try:
        check_model(models, feeds, args, tolerance)
    except e2e.Failure as failure:
        if graph.empty and "is 0, expected at least 1" in str(failure):
            return None, len(graph.probabilities)
        if args.keep and not graph.bfloat:
            form = next((name for name in models if str(failure).startswith(name)), "fused")
            cut_down(graph, models[form], form, feeds, args, tolerance, os.path.join(args.keep, f"seed{seed}"))
        return str(failure), len(graph.probabilities)
    except Exception as failure:  # the generator or onnxruntime
        return f"no valid graph: {type(failure).__name__}: {failure}", 0
    return None, len(graph.probabilities)


# --- Cutting down -------------------------------------------------------------------------------------
def without_dead(nodes, outputs):
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    return kept[::-1], needed


def assemble(graph, model, nodes, outputs, inputs):
    """A model of some `nodes` of `model`; `inputs` are names that are fed."""
    nodes, needed = without_dead(nodes, outputs)
    made = {name for node in nodes for name in node.output}
    fed = [graphs.info(graph.tensor(name)) for name in inputs if name in needed and name not in made]
    results = [helper.make_tensor_value_info(name, graph.tensor(name).kind, None) for name in outputs]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    built = helper.make_graph(nodes, "cut", fed, results, weights)
    return graph.packed(built)


def cut_down(graph, model, form, feeds, args, tolerance, path):
    """Saves a small graph that fails the same way: fewer outputs, and inputs in the place of nodes."""
    everything = onnx.ModelProto()
    everything.CopyFrom(model)
    del everything.graph.output[:]
    everything.graph.output.extend(
        helper.make_tensor_value_info(name, graph.tensor(name).kind, None)
        for node in model.graph.node for name in node.output if name)
    oracle = e2e.Oracle(everything.SerializeToString())
    values = [feed | oracle.run(feed) for feed in feeds]

    def fails(candidate):
        names = [value.name for value in candidate.graph.input]
        try:
            check_model({form: candidate}, [{name: value[name] for name in names} for value in values], args, tolerance)
            return False
        except e2e.Failure:
            return True
        except Exception:  # no valid graph any more
            return False

    outputs = [value.name for value in model.graph.output]
    nodes, inputs = list(model.graph.node), [value.name for value in model.graph.input]
    for name in outputs:
        if len(outputs) > 1 and fails(assemble(graph, model, nodes, [name], inputs)):
            outputs = [name]
            break
    nodes, _ = without_dead(nodes, outputs)
    for node in list(nodes):
        rest = [other for other in nodes if other is not node]
        results = [name for name in node.output if name]
        if not set(results) & set(outputs) and fails(assemble(graph, model, rest, outputs, inputs + results)):
            nodes, inputs = rest, inputs + results
    small = assemble(graph, model, nodes, outputs, inputs)
    onnx.save(small, f"{path}.onnx")
    for which, value in enumerate(values):
        np.savez(f"{path}.{which}.npz", **{v.name: value[v.name] for v in small.graph.input})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raptc", required=True)
    parser.add_argument("--rapt-run", required=True)
    parser.add_argument("--seed", type=int, default=1, help="of the first graph; the others follow")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", metavar="FOLDER", help="save graphs that fail, cut down")
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    failed = sites = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        seeds = range(args.seed, args.seed + args.count)
        for seed, (problem, attentions) in zip(seeds, pool.map(lambda s: check_seed(s, args), seeds)):
            sites += attentions
            if problem:
                failed += 1
                print(f"seed {seed}: {re.sub(chr(10), ' | ', problem.strip())}", flush=True)
    print(f"{args.count} graphs with {sites} attentions: {args.count - failed} right, {failed} wrong")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
