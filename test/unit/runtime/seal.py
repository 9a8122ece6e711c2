"""Appends the rapt_abi_seal of rapt_abi.h to a shared library without a section of weights.

The same bytes as compiler/Link/Seal.cpp writes, by another road: Python's struct and zlib.
"""

import struct
import sys
import zlib

path = sys.argv[1]
with open(path, "ab") as file:
    size = file.tell()
    start = struct.pack("<QQQ", size + 32, 0, 0)
    with open(path, "rb") as linked:
        checksum = zlib.crc32(linked.read() + start)
    file.write(start + struct.pack("<I4s", checksum, b"SEAL"))
