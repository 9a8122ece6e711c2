"""Every attention of the given models is fused: after `--compile-to=fuse` there are as many attn.sdpa as
the ONNX graph has Softmax and Attention operators, and no onnx operator is left.

    check_fused.py --raptc R [--external-data-dir DIR] [--beside FAMILY=N] MODEL ...

The models have no other softmax, but for N in those whose file names begin with FAMILY.
"""

import argparse
import os
import re

import e2e


def check():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raptc", required=True)
    parser.add_argument("--external-data-dir")
    parser.add_argument("--beside", action="append", default=[], metavar="FAMILY=N")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    beside = {family: int(count) for family, count in (item.split("=") for item in args.beside)}
    flags = [f"--external-data-dir={args.external_data_dir}"] if args.external_data_dir else []
    problems = []
    for path in args.models:
        expected = sum(node.op_type in ("Softmax", "Attention") for node in e2e.load(path).graph.node)
        expected -= beside.get(os.path.basename(path).split("-")[0], 0)
        ir = e2e.execute([args.raptc, path, "--compile-to=fuse", *flags])
        found = len(re.findall(r"\battn\.sdpa\b", ir))
        left = sorted(set(re.findall(r"\bonnx\.[A-Z]\w*", ir)))
        print(f"{path}: {found} of {expected} fused" + (f", left: {', '.join(left)}" if left else ""))
        if found != expected or left:
            problems.append(path)
    if problems:
        raise e2e.Failure(f"not fully fused: {' '.join(problems)}")


if __name__ == "__main__":
    e2e.main(check)
