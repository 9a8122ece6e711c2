"""Rows of a product with a constant weight that lie transposed in memory, behind dims that are all open.

    transposed_rows.py --raptc R --rapt-run R

The kernel copies such rows first. Room for them must not grow beyond what they are: these sizes once took 20 GB.
"""

import os
import tempfile

import numpy as np
import onnx

import e2e

DEPTH, COLUMNS = 64, 48
FORMS = {"three": ("b, 64, i", (0, 2, 1)), "four": ("b, 64, i, j", (0, 2, 3, 1))}
SIZES = {"three": ((1, 5), (3, 300), (40, 400), (200, 130)), "four": ((1, 3, 5), (2, 127, 128), (3, 40, 200))}


def model(form):
    dims, perm = FORMS[form]
    rows = ", ".join(dims.split(", ")[p] for p in perm[:-1])
    return onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 20]>
        rows (float[{dims}] x) => (float[{rows}, {COLUMNS}] y) {{
          turned = Transpose<perm = {list(perm)}>(x)
          y = MatMul(turned, weight)
        }}""")


def check():
    args = e2e.parser(__doc__.splitlines()[0]).parse_args()
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((DEPTH, COLUMNS)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for form, (_, perm) in FORMS.items():
            proto = model(form)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
            path, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
            onnx.save(proto, path)
            e2e.compile_model(args.raptc, path, artifact)
            for batch, *lengths in SIZES[form]:
                x = rng.standard_normal((batch, DEPTH, *lengths)).astype(np.float32)
                want = np.transpose(x, perm).astype(np.float64) @ weight
                what = f"{form} dims, {batch} x {lengths}"
                worst = e2e.compare(e2e.run_model(args.rapt_run, artifact, {"x": x}, folder),
                                    {"y": want.astype(np.float32)}, 2e-6, what)
                print(f"{what}: differs by {worst:.1e} of the largest element")


if __name__ == "__main__":
    e2e.main(check)
