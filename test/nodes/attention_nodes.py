"""ONNX's node tests of Attention, and their expansions into smaller operators: all become attn.sdpa.

    attention_nodes.py --raptc R

Exit code 1 when the IR behind a case's fusion has none, or raptc fails; each such case is one line.
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
    raptc = parser.parse_args().raptc
    known = node_tests.operators_of_rapt(raptc)
    count, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "case.onnx")
        for case in node_tests.cases():
            if not case.name.startswith("test_attention_") or node_tests.operators_of(case.model.graph) - known:
                continue
            model, _, _ = node_tests.prepare(case, "static")
            onnx.save(model, path)
            done = subprocess.run([raptc, path, "--compile-to=fuse"], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL)
            count += 1
            if done.returncode or "attn.sdpa" not in done.stdout:
                wrong.append(f"{case.name}: {done.stderr.strip() or 'no attn.sdpa'}")
    print(*wrong, f"{count - len(wrong)} of {count} cases became attn.sdpa", sep="\n")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()
