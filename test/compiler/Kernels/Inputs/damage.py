"""Damages each entry of a kernel cache: every other one is cut short, the rest has its last byte changed.

    damage.py FOLDER
"""

import pathlib
import sys

entries = sorted(pathlib.Path(sys.argv[1]).glob("llvmcache-*"))
assert len(entries) > 3
for number, entry in enumerate(entries):
    content = entry.read_bytes()
    entry.write_bytes(content[:-1] if number % 2 else content[:-1] + bytes([content[-1] ^ 1]))
