"""ONNX's own node tests, compiled by raptc and run through the runtime.

    node_tests.py --raptc R --library build/lib/librapt.so --form static [--filter PATTERN] [--jobs 2]

The cases come from the installed `onnx` package, which builds models, inputs and expected outputs. Forms:

    static      the model as it is
    symbolic    every input dim above 1 is a symbol of its own and the declared output shapes are gone
    reference   as it is, through `raptc --kernels=reference`

A case runs when every operator in it is in Rapt's table (`raptc --print-onnx-coverage`) and its name matches the
shell pattern of --filter. One whose name a line of excluded.txt matches runs too, and must not pass. Operands that a
compiler must know (COMPILE_TIME below: axes, and numbers that shapes are made of) are graph inputs in these models; they
become initialisers with the same values.

Outputs must have the expected element type and shape and be close by the tolerances of the case. Exit
code 1 when a case fails, when an excluded one passes, when no case matches, or when, without --filter, fewer
pass than LEAST_PASSED says; each failure is one line on stdout.
"""

import argparse
import collections
import concurrent.futures
import fnmatch
import os
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import traceback
import warnings

import numpy as np
import onnx
import onnx.numpy_helper

FORMS = ("static", "symbolic", "reference")

# As many pass at least: fewer mean that cases were not collected, or operators left the table.
LEAST_PASSED = {"static": 1540, "symbolic": 1420, "reference": 1540}

# Operands that decide result shapes or choose the code: {operator: operand numbers}.
COMPILE_TIME = {
    "AffineGrid": [1], "CenterCropPad": [1], "Col2Im": [1, 2], "ConstantOfShape": [0],
    "CumProd": [1], "CumSum": [1], "Dropout": [1, 2], "Expand": [1], "Loop": [0, 1], "MaxUnpool": [2],
    "OneHot": [1], "Pad": [1, 3], "Range": [0, 1, 2],
    "Reshape": [1], "Resize": [1, 2, 3], "Slice": [1, 2, 3, 4], "Split": [1], "Squeeze": [1],
    "Tile": [1], "TopK": [1], "Trilu": [1], "Unsqueeze": [1], "Upsample": [1],
    **{name: [1] for name in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                              "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare")},
}

# What compiling one node may take: runaway compilers must not take the machine with them.
MEMORY_LIMIT = 6 << 30

# {case: the operands of its operator that must be known}, for the expanded cases; filled by main().
PRIMARY_NEEDS = {}

Outcome = collections.namedtuple("Outcome", "name status detail")


def cases():
    """All node tests of the installed onnx package, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return sorted(collect_testcases(None), key=lambda case: case.name)


def operators_of_rapt(raptc):
    """Names of the operators that raptc imports; those of other domains with the domain before a dot."""
    text = subprocess.run([raptc, "--print-onnx-coverage"], check=True, capture_output=True, text=True).stdout
    return {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}


def operators_of(graph):
    """Names of the operators in a graph and its subgraphs."""
    names = set()
    for node in graph.node:
        names.add(node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}")
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                names |= operators_of(inner)
    return names


def read_exclusions(path):
    """[(pattern, forms, reason)] from lines `pattern [form,...] [onnx<MAJOR.MINOR]: reason`."""
    installed = [int(part) for part in onnx.__version__.split(".")[:2]]
    result = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            line = line.split("#")[0].strip()
            if not line:
                continue
            head, reason = line.split(":", 1)
            pattern, *conditions = head.split()
            limits = [condition[len("onnx<"):] for condition in conditions if condition.startswith("onnx<")]
            if any(installed >= [int(part) for part in limit.split(".")] for limit in limits):
                continue
            forms = [condition for condition in conditions if not condition.startswith("onnx<")]
            result.append((pattern, forms[0].split(",") if forms else list(FORMS), reason.strip()))
    return result


def compile_time_inputs(graph):
    """Names of graph inputs that COMPILE_TIME says must be known."""
    return {node.input[i] for node in graph.node for i in COMPILE_TIME.get(node.op_type, ())
            if node.domain in ("", "ai.onnx") and i < len(node.input)} - {""}


def primary_name(name):
    """The case whose operator the case `name` has as its function body; its own name for all others."""
    return re.sub(r"_expanded(_ver\d+)?$", "", name)


def as_array(value):
    """Some cases hold TensorProtos in the place of arrays."""
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def prepare(case, form):
    """The model of `case` in `form`, and its feeds."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, expected = case.data_sets[0]
    inputs, expected = ([as_array(value) for value in values] for values in (inputs, expected))
    feeds = {value.name: array for value, array in zip(model.graph.input, inputs)}
    needed = compile_time_inputs(model.graph) | PRIMARY_NEEDS.get(primary_name(case.name), set())
    for name in needed & feeds.keys():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(feeds.pop(name)), name))
    kept = [value for value in model.graph.input if value.name in feeds]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    if form == "symbolic":
        for value in model.graph.input:
            for i, dim in enumerate(value.type.tensor_type.shape.dim):
                if dim.dim_value > 1:
                    dim.dim_param = f"{value.name}_{i}"
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
    # A list is a sequence, which no artifact takes.
    feeds = {name: array if isinstance(array, list) else np.asarray(array) for name, array in feeds.items()}
    return model, feeds, expected


def compare(got, want, rtol, atol):
    """What is wrong with `got`, or None."""
    want = np.asarray(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"is {got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}"
    if want.dtype.kind in "biu":
        close = got == want
    else:
        if want.dtype.name == "bfloat16":  # two units in the last place, as in ONNX's own runner
            rtol = max(rtol, 2**-6)
        close = np.isclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True)
    if close.all():
        return None
    index = tuple(int(i) for i in np.unravel_index(np.argmin(close), close.shape))
    return (f"{list(index)} is {got[index]}, expected {want[index]}; "
            f"{np.count_nonzero(~close)} of {close.size} differ")


def run_artifact(artifact, feeds, case, expected):
    """What is wrong with the artifact's outputs, or None. Runs in a process of its own."""
    import rapt

    session = rapt.InferenceSession(artifact, threads=1)
    results = session.run(None, feeds)
    names = [info.name for info in session.get_outputs()]
    if len(results) != len(expected):
        return f"has outputs {names}, expected {len(expected)}"
    for name, got, want in zip(names, results, expected):
        wrong = compare(got, want, case.rtol, case.atol)
        if wrong:
            return f"output {name} {wrong}"
    return None


def in_child(function, *arguments):
    """Calls `function` in a forked child, so that a signal is a result like another."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            answer = function(*arguments)
        except Exception as error:  # the text goes to the report
            answer = f"{type(error).__name__}: {error}"
        with os.fdopen(write, "wb") as out:
            pickle.dump(answer, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as data:
        answer = data.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"run ended by signal {os.WTERMSIG(status)}"
    return pickle.loads(answer)


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def check(case, form, raptc, folder):
    """The Outcome of one case."""
    try:
        model, feeds, expected = prepare(case, form)
        source, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
        onnx.save(model, source)
        if os.path.exists(artifact):
            os.unlink(artifact)
        flags = ["--kernels=reference"] if form == "reference" else []
        done = subprocess.run([raptc, source, "-o", artifact, *flags], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=120,
                              preexec_fn=limit_memory)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or [""]
            text = lines[0] if "unsupported" not in lines[0] or len(lines) == 1 else " ".join(lines[:2])
            return Outcome(case.name, "refused" if done.returncode == 1 else "crashed",
                           f"raptc exit code {done.returncode}: {text}")
        wrong = in_child(run_artifact, artifact, feeds, case, expected)
        return Outcome(case.name, "failed" if wrong else "passed", wrong or "")
    except Exception as error:
        return Outcome(case.name, "failed", "".join(traceback.format_exception_only(error)).strip())


def check_share(share, form, raptc):
    with tempfile.TemporaryDirectory() as folder:
        return [check(case, form, raptc, folder) for case in share]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raptc", required=True)
    parser.add_argument("--library", required=True, help="librapt.so")
    parser.add_argument("--python-package", required=True, help="folder that holds the package rapt")
    parser.add_argument("--form", choices=FORMS, required=True)
    parser.add_argument("--filter", default="*", help="shell pattern of case names")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list-unknown", action="store_true", help="also count the operators outside the table")
    arguments = parser.parse_args()
    os.environ["RAPT_LIBRARY"] = arguments.library
    sys.path.insert(0, arguments.python_package)

    everything = cases()
    PRIMARY_NEEDS.update((case.name, compile_time_inputs(case.model.graph)) for case in everything)
    known = operators_of_rapt(arguments.raptc)
    exclusions = read_exclusions(os.path.join(os.path.dirname(os.path.abspath(__file__)), "excluded.txt"))
    run, excluded, unknown = [], {}, collections.Counter()
    for case in everything:
        if not fnmatch.fnmatch(case.name, arguments.filter):
            continue
        missing = operators_of(case.model.graph) - known
        unknown.update(missing)
        reason = next((reason for pattern, forms, reason in exclusions
                       if arguments.form in forms and fnmatch.fnmatch(case.name, pattern)), None)
        if missing:
            continue
        if reason is not None:
            excluded[case.name] = reason
        run.append(case)

    jobs = arguments.jobs
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        shares = [pool.submit(check_share, run[i::jobs * 8], arguments.form, arguments.raptc)
                  for i in range(jobs * 8)]
        outcomes = sorted(outcome for share in shares for outcome in share.result())

    bad = 0
    for outcome in outcomes:
        if outcome.name in excluded:
            if outcome.status == "passed":
                bad += 1
                print(f"STALE {outcome.name}: passes, but is excluded: {excluded[outcome.name]}")
        elif outcome.status != "passed":
            bad += 1
            print(f"{outcome.status.upper()} {outcome.name}: {outcome.detail}")
    if arguments.list_unknown:
        print("outside the table:", ", ".join(f"{name} {count}" for name, count in unknown.most_common()))
    passed = sum(outcome.status == "passed" for outcome in outcomes)
    least = LEAST_PASSED[arguments.form] if arguments.filter == "*" else 0
    if passed < least or not outcomes:
        bad += 1
        print(f"FEW: {passed} of {len(outcomes)} cases passed, expected at least {least}, and one case to run")
    print(f"{arguments.form}: {passed} passed, {len(outcomes) - len(excluded)} run, "
          f"{len(excluded)} excluded, {len(everything)} in all")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
