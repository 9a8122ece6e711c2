#!/usr/bin/env python3
"""Formats the C and C++ sources, or (--check) says what is not as CONTRIBUTING.md wants it.

    scripts/format.py [--check] [FILE...]     all sources when no file is named

Formatting is clang-format's (version 22; LLVM style, 100 columns) where it is installed, for code; comments
that are too long are wrapped here, because clang-format tears rulers and banners apart. The check needs no
clang-format: columns, white space, the banner in the first line, and a comment below it that says what the
file is about. A header may do with the comments of its declarations, a source file with its header.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("benchmarks", "cmake", "compiler", "dialects", "frontends", "runtime", "test")
COLUMNS = 100
COMMENT = re.compile(r"( *///?) (\S.*)$")


def sources():
    """Paths of all C and C++ files, relative to the root."""
    for folder in FOLDERS:
        for where, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders.sort()
            for name in sorted(names):
                if name.endswith((".c", ".cpp", ".h")):
                    yield os.path.relpath(os.path.join(where, name), ROOT)


def wrap(lines):
    """`lines` with the end of each over-long comment line moved to the next line of its paragraph."""
    result, rest = [], None
    for line in lines + [""]:
        comment = COMMENT.match(line)
        if rest:
            prefix, text = rest
            rest = None
            # A list item, a ruler or another indentation begins a paragraph of its own.
            if comment and comment[1] == prefix and re.match(r"[\w(`']", comment[2]):
                line = f"{prefix} {text} {comment[2]}"
            else:
                result.append(f"{prefix} {text}")
            comment = COMMENT.match(line)
        if comment and len(line) > COLUMNS and not comment[2].startswith(("===", "---")):
            cut = line.rfind(" ", len(comment[1]) + 1, COLUMNS + 1)
            if cut > 0:
                rest = comment[1], line[cut + 1:]
                line = line[:cut]
        result.append(line)
    return result[:-1]


def faults(path, lines):
    """Yields (line number, what is wrong)."""
    name = os.path.basename(path)
    if not re.match(rf"(//|/\*)===- {re.escape(name)} - \S.*-===(//|\*/|$)", lines[0] if lines else ""):
        yield 1, f"expected a banner '//===- {name} - Purpose ---===//'"
    header = os.path.splitext(path)[0] + ".h"
    alone = name.endswith(".h") or not os.path.exists(os.path.join(ROOT, header))
    about = any(re.match(r"(//| \*) +[^\s=]", line) for line in lines[1:3])
    documented = name.endswith(".h") and any(line.lstrip().startswith("/// ") for line in lines)
    if alone and not about and not documented and not path.startswith("test/unit"):
        yield 2, "expected a comment that says what the file is about"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield number, f"{len(line)} columns, expected at most {COLUMNS}"
        if "\t" in line or line != line.rstrip():
            yield number, "a tab or trailing white space"
    if not lines or not lines[-1]:
        yield len(lines), "an empty line at the end"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when something is wrong")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    paths = [os.path.relpath(f, ROOT) for f in args.files] or list(sources())
    clang_format = shutil.which("clang-format-22")
    if not args.check and clang_format:
        subprocess.run([clang_format, "-i", *(os.path.join(ROOT, path) for path in paths)], check=True)
    wrong = 0
    for path in paths:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            text = file.read()
        lines = text.removesuffix("\n").split("\n")
        if not args.check:
            lines = wrap(lines)
            if "\n".join(lines) + "\n" != text:
                with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
                    file.write("\n".join(lines) + "\n")
        for number, what in faults(path, lines):
            print(f"{path}:{number}: {what}")
            wrong += 1
    print(f"{len(paths)} files, {wrong} faults" + ("" if args.check or clang_format else "; clang-format-22 not found"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
