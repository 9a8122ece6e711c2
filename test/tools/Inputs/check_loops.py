"""Checks the machine code of an artifact's gemm and attention kernels, told by a JSON report: in the innermost loop of
a register tile every multiply-add works on registers or on one operand that is read, and nothing is spilled.

A row block of rows x vectors needs, for each k, rows * vectors multiply-adds, a load for each vector of the panel and
a broadcast for each row; a few instructions count and fetch ahead.
"""

import argparse
import json
import re
import subprocess

OTHERS = 8  # instructions of a loop that neither multiply nor load: counters, addresses, prefetches, the jump

parser = argparse.ArgumentParser()
for name in ("objdump", "artifact", "report"):
    parser.add_argument(name)
parser.add_argument("--lanes", type=int, required=True, help="f32 numbers in a vector")
given = parser.parse_args()
with open(given.report, encoding="utf-8") as file:
    kernels = json.load(file)["kernels"]
listing = subprocess.run([given.objdump, "-d", "--no-show-raw-insn", given.artifact], check=True, capture_output=True,
                         text=True).stdout


def functions():
    """{name: [(address, instruction)]}"""
    found, own = {}, None
    for line in listing.splitlines():
        head = re.match(r"[0-9a-f]+ <(.*)>:", line)
        code = re.match(r"\s*([0-9a-f]+):\s+(.*)", line)
        if head:
            own = found.setdefault(head[1], [])
        elif code and own is not None:
            own.append((int(code[1], 16), code[2].partition("#")[0].strip()))
    return found


def innermost_loops(code):
    """The instructions of each loop without another jump in it."""
    for address, text in code:
        target = re.match(r"j\w+\s+(?:0x)?([0-9a-f]+)", text)
        if not target or not code[0][0] <= int(target[1], 16) <= address:
            continue
        body = [text for at, text in code if int(target[1], 16) <= at <= address]
        if not any(text.startswith("j") for text in body[:-1]):
            yield body


def numbers(body):
    """Multiply-adds, vector operands in memory, operands on the stack, instructions."""
    vectors = [text for text in body if text.startswith("v")]
    return (sum(text.startswith("vfmadd") for text in body), sum("(" in text for text in vectors),
            sum(bool(re.search(r"\(%r[sb]p", text)) for text in vectors), len(body))


code = functions()
checked = 0
for kernel in kernels:
    recipe, name = kernel["schedule"]["recipe"], kernel["name"]
    loops = [numbers(body) for function, instructions in code.items() if function.startswith(name + "_halide")
             for body in innermost_loops(instructions)]
    if recipe == "gemm":
        rows = kernel["schedule"]["parameters"]["tile_rows"]
        vectors = kernel["schedule"]["parameters"]["tile_cols"] // given.lanes
        tiles = [loop for loop in loops if loop[0] == rows * vectors and loop[1] >= vectors + min(rows, 2)]
        assert tiles, f"{name}: no loop of {rows} x {vectors} multiply-adds in {loops}"
        best = min(tiles, key=lambda loop: loop[3])
        assert best[1] <= rows + vectors and best[2] == 0, f"{name}: {best[1]} loads, {best[2]} on the stack"
        assert best[3] <= rows * vectors + rows + vectors + OTHERS, f"{name}: {best[3]} instructions"
        checked += 1
    elif recipe == "attention":
        rows, vectors = 6, 4 if given.lanes == 16 else 2  # of a tile of scores
        assert any(fmas == rows * vectors and loads <= rows + vectors and stack == 0
                   and count <= fmas + loads + OTHERS for fmas, loads, stack, count in loops), f"{name}: {loops}"
        checked += 1
assert checked >= 2, f"{checked} kernels"
