"""The worked example of one attention head: numbers by hand, computed exactly by small integers.

    worked_example.py FOLDER --raptc R --rapt-run R

FOLDER holds worked-example.onnxtxt (every step is an output) and worked-example-batched.onnxtxt (only the
sum is). The two rows of X are the tokens.
"""

import os
import tempfile

import numpy as np

import e2e

X = [[6, 1, 4, 4], [8, 4, 6, 3]]
# The hand computation, first token: q . k = [5011, 7148], scaled by 1 / sqrt(4); the softmax of numbers
# 1068.5 apart is [0, 1], so attention gives the second row of V, and the residual X is added to it.
FIRST = {"Q": [23, 49, 45, 28], "scores": [2505.5, 3574], "attention": [68, 53, 63, 58], "Y": [74, 54, 67, 62]}
BOTH = {"K": [[40, 39, 36, 20], [59, 48, 59, 28]], "V": [[51, 36, 45, 46], [68, 53, 63, 58]]}


def expect(what, got, want):
    if not np.allclose(got, want, rtol=0, atol=1e-4):
        raise e2e.Failure(f"{what} is {np.asarray(got).tolist()}, expected {want}")
    print(f"{what} = {np.asarray(got).tolist()}")


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("folder")
    args = parser.parse_args()
    x = np.array(X, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for kernels in args.kernels.split(","):
            artifact = os.path.join(folder, f"{kernels}.so")
            flags = [f"--kernels={kernels}"]
            e2e.compile_model(args.raptc, os.path.join(args.folder, "worked-example.onnxtxt"), artifact, flags)
            got = e2e.run_model(args.rapt_run, artifact, {"X": x}, folder)
            for name, want in FIRST.items():
                expect(f"{kernels} {name} row 1", got[name][0], want)
            for name, want in BOTH.items():
                expect(f"{kernels} {name}", got[name], want)

            batched = os.path.join(folder, f"{kernels}-batched.so")
            e2e.compile_model(args.raptc, os.path.join(args.folder, "worked-example-batched.onnxtxt"), batched,
                              flags)
            # Three copies of the two tokens, and each token alone (its softmax is 1).
            got = e2e.run_model(args.rapt_run, batched, {"X": np.stack([x] * 3)}, folder)
            for row in range(3):
                expect(f"{kernels} batched Y[{row}] row 1", got["Y"][row, 0], FIRST["Y"])
            got = e2e.run_model(args.rapt_run, batched, {"X": x[:, None, :]}, folder)
            expect(f"{kernels} alone Y", got["Y"][:, 0], (np.array(BOTH["V"]) + x).tolist())


if __name__ == "__main__":
    e2e.main(check)
