"""Masks of integers that are not 0 and 1: whatever is made of them by arithmetic, the numbers are onnxruntime's.

    mask_integers.py --raptc R --rapt-run R
"""

import os
import tempfile

import numpy as np
import onnx

import e2e
import mask_forms

BIAS = ("axes = Constant<value_ints = [1, 2]>() wide = Unsqueeze(ones, axes) floats = Cast<to = 1>(wide) "
        "hidden = Sub(one, floats) low = Constant<value_float = -10000.0>() mask = Mul(hidden, low) ")
# Sums with 1e4 are rounded to 1e-3.
TOLERANCE = 2e-3
CASES = {
    "added": (["ones"], BIAS + "masked = Add(scores, mask)"),
    "below a billion": (["ones", "seen"], BIAS + "sum = Add(scores, mask) masked = Where(seen, sum, billion)"),
}
SETS = ([0, 1], [0, 1, 2], [-1], [2], [-1, 0], [-200000, 1], [-200000])


def check():
    args = e2e.parser(__doc__.splitlines()[0]).parse_args()
    for name, (inputs, body) in CASES.items():
        model = mask_forms.model_of(inputs, body, "")
        oracle = e2e.Oracle(model.SerializeToString())
        with tempfile.TemporaryDirectory() as folder:
            path, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
            onnx.save(model, path)
            for kernels in args.kernels.split(","):
                e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
                for numbers in SETS:
                    rng = np.random.default_rng(5)
                    feed = mask_forms.feeds(model, 3, 5, 9, rng)
                    feed["ones"] = rng.choice(np.array(numbers, np.int64), (3, 9))
                    what = f"{name} {kernels} {numbers}"
                    got = e2e.run_model(args.rapt_run, artifact, feed, folder)
                    worst = e2e.compare(got, oracle.run(feed), TOLERANCE, what)
                    print(f"{what}: differs by {worst:.1e} of the largest element")


if __name__ == "__main__":
    e2e.main(check)
