"""Damaged copies of ONNX's node tests through every pass: an error or IR that verifies, never a signal.

    mutate_nodes.py --raptc R --mutate build/bin/rapt-mutate [--count 5] [--seed 7]

One model for every operator in Rapt's table and for most of their attributes; rapt-mutate says what it does
to them and repeats a mutant. Exit code 1 when one goes wrong.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import onnx

import node_tests


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raptc", required=True)
    parser.add_argument("--mutate", required=True, help="rapt-mutate")
    parser.add_argument("--count", type=int, default=5, help="mutants of each model")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    known = node_tests.operators_of_rapt(arguments.raptc)
    with tempfile.TemporaryDirectory() as folder:
        models = []
        for case in node_tests.cases():
            if case.name.endswith("_expanded") or node_tests.operators_of(case.model.graph) - known:
                continue
            model, _, _ = node_tests.prepare(case, "symbolic" if len(models) % 2 else "static")
            models.append(os.path.join(folder, case.name + ".onnx"))
            onnx.save(model, models[-1])
        done = subprocess.run([arguments.mutate, f"--count={arguments.count}", f"--seed={arguments.seed}",
                               "--to=host", *models], stdin=subprocess.DEVNULL)
    print(f"{len(models)} models")
    sys.exit(done.returncode != 0)


if __name__ == "__main__":
    main()
