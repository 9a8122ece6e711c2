"""Compares two .npz files: the same names, values within 1e-5 of the largest."""

import sys

import numpy as np

a, b = map(np.load, sys.argv[1:])
assert sorted(a) == sorted(b) and len(a.files) > 0, (sorted(a), sorted(b))
for name in a:
    assert a[name].shape == b[name].shape, name
    assert np.abs(a[name] - b[name]).max() <= 1e-5 * np.abs(b[name]).max(), name
