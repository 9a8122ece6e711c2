"""GroupedMatMul (ONNX, opset 29) beside numpy in float64: each token times the matrices of the groups that it is sent
to; groups that do not exist are refused.

    grouped_matmul.py --raptc R --rapt-run R
"""

import os
import tempfile

import numpy as np
import onnx

import e2e

GROUPS, DEPTH, COLUMNS = 5, 24, 18
MODEL = """
<ir_version: 13, opset_import: ["" : 29]>
experts (float[tokens, 24] x, int64[tokens, selections] groups, float[5, 24, 18] weights, float[5, 18] bias)
  => (float[tokens, selections, 18] plain, float[tokens, selections, 18] biased) {
  [plain] plain = GroupedMatMul(x, weights, groups)
  [biased] biased = GroupedMatMul(x, weights, groups, bias)
}"""


def check():
    args = e2e.parser(__doc__.splitlines()[0]).parse_args()
    rng = np.random.default_rng(3)
    floats = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        onnx.save(onnx.parser.parse_model(MODEL), path)
        for kernels in args.kernels.split(","):
            artifact = os.path.join(folder, f"{kernels}.so")
            e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
            weights, bias = floats(GROUPS, DEPTH, COLUMNS), floats(GROUPS, COLUMNS)
            for tokens, selections in (1, 1), (7, 2), (40, 3):
                x, groups = floats(tokens, DEPTH), rng.integers(0, GROUPS, (tokens, selections))
                feed = {"x": x, "groups": groups, "weights": weights, "bias": bias}
                plain = np.einsum("tk,tskn->tsn", x.astype(np.float64), weights.astype(np.float64)[groups])
                want = {"plain": plain.astype(np.float32), "biased": (plain + bias[groups]).astype(np.float32)}
                what = f"{kernels}, {tokens} tokens to {selections} of {GROUPS} groups"
                worst = e2e.compare(e2e.run_model(args.rapt_run, artifact, feed, folder), want, 2e-6, what)
                print(f"{what}: differs by {worst:.1e} of the largest element")
            for wrong in -1, GROUPS:
                feed["groups"] = np.full_like(groups, wrong)
                try:
                    e2e.run_model(args.rapt_run, artifact, feed, folder)
                except e2e.Failure as failure:
                    if "node 'plain'" in str(failure) and f"outside dim 0 ({GROUPS})" in str(failure):
                        continue
                    raise
                raise e2e.Failure(f"{kernels}: group {wrong} of {GROUPS} is taken")


if __name__ == "__main__":
    e2e.main(check)
