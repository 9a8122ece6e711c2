"""Flips bits of an artifact: rapt-run refuses all but those whose damage is in the weights.

usage: damage.py RAPT_RUN ARTIFACT SCRATCH
"""

import random
import struct
import subprocess
import sys

rapt_run, artifact, scratch = sys.argv[1:]
with open(artifact, "rb") as file:
    good = file.read()
size, weights, weight_bytes, _, magic = struct.unpack("<QQQI4s", good[-32:])
assert size == len(good) and magic == b"SEAL" and weight_bytes > 0 and weights % 4096 == 0


def describe(place):
    damaged = bytearray(good)
    damaged[place] ^= 1 << random.randrange(8)
    with open(scratch, "wb") as file:
        file.write(damaged)
    return subprocess.run([rapt_run, scratch, "--describe"], capture_output=True, text=True)


random.seed(11)
rest = [*range(weights), *range(weights + weight_bytes, size)]
for place in [weights - 1, weights + weight_bytes] + random.sample(rest, 300):
    result = describe(place)
    assert result.returncode == 1 and "error: '" in result.stderr, (place, result)
for place in (weights, weights + weight_bytes - 1):
    assert describe(place).returncode == 0, place
