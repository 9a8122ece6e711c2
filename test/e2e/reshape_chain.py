"""Prints a model of 60 transposes and reshapes of [n, 6, 35] with one operator behind them."""

import itertools
import sys

SHAPES = [(6, 35), (10, 21), (15, 14), (30, 7), (5, 42), (2, 105)]

print('<ir_version: 8, opset_import: ["" : 17]>\nchain (float[n, 6, 35] x) => (float[n, a, b] y)\n{')
value = "x"
for i, shape in zip(range(60), itertools.cycle(SHAPES)):
    print(f"  t{i} = Transpose<perm = [0, 2, 1]>({value})")
    print(f"  s{i} = Constant<value = int64[3] {{0, {shape[0]}, {shape[1]}}}>()")
    value = f"r{i}"
    print(f"  {value} = Reshape(t{i}, s{i})")
if sys.argv[1] == "MatMul":
    print(f"  w = Transpose<perm = [0, 2, 1]>({value})\n  y = MatMul({value}, w)\n}}")
else:
    print(f"  y = {sys.argv[1]}({value})\n}}")
