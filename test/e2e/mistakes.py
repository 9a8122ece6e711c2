"""Shows that the tolerance of check_model.py tells a right model from one that is wrong by one small thing.

    mistakes.py MODEL...

Each mistake is made in a copy of the graph, once; onnxruntime runs both, so nothing is compiled here. A
mistake that stays below the tolerance in every output and at every shape fails the test.
"""

import argparse
import copy
import math

import numpy as np
from onnx import helper, numpy_helper

import check_model
import e2e

SHAPES = {"batch": 2, "seq": 7}, {"batch": 3, "seq": 37}


def constants(model):
    """Yields every constant tensor: initialisers and the values of Constant nodes."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                yield attribute.t


def wrong_epsilon(model):
    """1e-5 where a normalisation has 1e-12, and the reverse; returns how many."""
    swap = lambda epsilon: 1e-5 if epsilon < 1e-6 else 1e-12
    count = 0
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "epsilon":
                attribute.f = swap(attribute.f)
                count += 1
    for tensor in constants(model):
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.size == 1 and 0 < value.item() <= 1.1e-5:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(value, swap(value.item())), tensor.name))
            count += 1
    return count


def wrong_gelu(model):
    """The tanh form where GELU has erf; returns how many.

    erf(x) becomes tanh(2 / sqrt(pi) * (x + 0.08943 x^3)), which is the same form in GELU's own variable x * sqrt(2).
    """
    nodes, count = [], 0
    for node in model.graph.node:
        if node.op_type == "Gelu":
            count += all(attribute.s != b"tanh" for attribute in node.attribute)
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("approximate", "tanh"))
        if node.op_type != "Erf":
            nodes.append(node)
            continue
        name, x = f"mistake{count}", node.input[0]
        factors = {"cubic": 2 * 0.044715, "scale": 2 / math.sqrt(math.pi)}
        for key, factor in factors.items():
            model.graph.initializer.append(numpy_helper.from_array(np.float32(factor), f"{name}_{key}"))
        steps = [("Mul", x, x), ("Mul", f"{name}_0", x), ("Mul", f"{name}_1", f"{name}_cubic"),
                 ("Add", f"{name}_2", x), ("Mul", f"{name}_3", f"{name}_scale")]
        for step, (kind, *operands) in enumerate(steps):
            nodes.append(helper.make_node(kind, operands, [f"{name}_{step}"]))
        nodes.append(helper.make_node("Tanh", [f"{name}_4"], list(node.output)))
        count += 1
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def wrong_scale(model):
    """The operand of the first softmax is 0.1 % too large; returns 1."""
    nodes = list(model.graph.node)
    at = next(i for i, node in enumerate(nodes) if node.op_type == "Softmax")
    scores = nodes[at].input[0]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.001), "mistake_factor"))
    nodes[at].input[0] = "mistake_scores"
    nodes.insert(at, helper.make_node("Mul", [scores, "mistake_factor"], ["mistake_scores"]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return 1


def differs(right, wrong, inputs, what):
    """Whether compare() tells the two models apart on `inputs`."""
    try:
        e2e.compare(wrong.run(inputs), right.run(inputs), check_model.TOLERANCE, what)
    except e2e.Failure as failure:
        print(failure)
        return True
    return False


def check():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    unseen = []
    for path in args.models:
        model = e2e.load(path)
        right = e2e.Oracle(model.SerializeToString())
        rng = np.random.default_rng(4)
        padded = [check_model.make_inputs(model, dims, rng, "padded", 0) for dims in SHAPES]
        for make in (wrong_epsilon, wrong_gelu, wrong_scale):
            changed = copy.deepcopy(model)
            if make(changed) == 0:
                raise e2e.Failure(f"{path}: no place for {make.__name__}")
            wrong = e2e.Oracle(changed.SerializeToString())
            what = f"{path} {make.__name__}"
            if not any([differs(right, wrong, inputs, what) for inputs in padded]):
                unseen.append(what)
        unread = [dict(i, attention_mask=np.ones_like(i["attention_mask"])) for i in padded]
        if not any(np.any(a["attention_mask"] != b["attention_mask"]) for a, b in zip(padded, unread)):
            raise e2e.Failure(f"{path}: no key is masked")
        for inputs, ones in zip(padded, unread):
            try:
                e2e.compare(right.run(ones), right.run(inputs), check_model.TOLERANCE, path)
                unseen.append(f"{path} mask not read")
            except e2e.Failure as failure:
                print(failure)
    if unseen:
        raise e2e.Failure("within the tolerance: " + ", ".join(unseen))


if __name__ == "__main__":
    e2e.main(check)
