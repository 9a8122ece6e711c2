"""LayerNormalization of rows whose mean is far above their spread, beside float64.

    norm_means.py --raptc R --rapt-run R

A mean in f32 is rounded by 3e-8 of itself, 3e-5 of the spread where it is a thousand times that.
"""

import os
import tempfile

import numpy as np
import onnx

import e2e

MODEL = """<ir_version: 9, opset_import: ["" : 20]>
norms (float[rows, width] x) => (float[rows, width] y) {
  y = LayerNormalization<axis = -1, epsilon = 1e-5>(x, scale)
}"""


def check():
    args = e2e.parser(__doc__.splitlines()[0]).parse_args()
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        for width in (48, 100, 768):
            proto = onnx.parser.parse_model(MODEL.replace("width", str(width)))
            proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(width, np.float32), "scale"))
            proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "last"))
            path = os.path.join(folder, "model.onnx")
            onnx.save(proto, path)
            x = rng.standard_normal((9, width)) + np.geomspace(1, 1e5, 9)[:, None]
            x[-1] = 12345.678  # equal elements: 0
            x = x.astype(np.float32)
            wide = x.astype(np.float64)
            centred = wide - wide.mean(-1, keepdims=True)
            want = (centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5)).astype(np.float32)
            for kernels in args.kernels.split(","):
                artifact = os.path.join(folder, f"{kernels}.so")
                e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
                got = e2e.run_model(args.rapt_run, artifact, {"x": x}, folder)
                worst = e2e.compare(got, {"y": want}, 1e-6, f"{kernels}, {width} columns")
                print(f"{kernels}, {width} columns: differs by {worst:.1e} of the largest element")


if __name__ == "__main__":
    e2e.main(check)
