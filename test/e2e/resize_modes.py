"""Resize in all modes and coordinate transformations, by scales that are no whole numbers and by sizes.

    resize_modes.py --raptc R --rapt-run R

One model an opset holds a Resize of a [rows, columns] image for each combination. Truth is onnxruntime.
"""

import os
import tempfile

import numpy as np
import onnx

import e2e

TRANSFORMATIONS = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
                   "half_pixel_symmetric")
MODES = ("nearest", "linear", "cubic")
# Along rows, along columns; 0.3 makes one row of five.
SCALES = ((0.3, 0.6), (0.6, 0.3), (1.5, 2.5), (2.5, 3.1), (3.1, 1.5))
# Without places that are halfway by all but the rounding of the scale to f32.
NEAREST_SCALES = ((0.31, 0.61), (0.61, 0.31), (1.5, 2.5), (2.5, 3.11), (3.11, 1.5))
SIZES = ((1, 1), (3, 9), (7, 4))
ROWS, COLUMNS = 5, 7
REGION = (0.1, 0.2, 0.7, 0.8)
# Of the largest element: places are f32 in onnxruntime, f64 in Rapt.
TOLERANCE = 2e-5


def resize(name, opset, mode, transformation, scales, sizes):
    """Nodes for one Resize, and its constants."""
    def constant(what, kind, values):
        return onnx.helper.make_tensor(f"{name}_{what}", kind, [len(values)], values)

    # Opset 11 wants all operands to be there; one that says nothing is empty.
    constants = [constant("roi", onnx.TensorProto.FLOAT, REGION if transformation == "tf_crop_and_resize" else []),
                 constant("scales", onnx.TensorProto.FLOAT, scales or [])]
    if sizes:
        constants.append(constant("sizes", onnx.TensorProto.INT64, sizes))
    if opset > 11:
        constants = [tensor if tensor.dims[0] else None for tensor in constants]
    inputs = ["x", *(tensor.name if tensor else "" for tensor in constants)]
    node = onnx.helper.make_node("Resize", inputs, [name], name=name, mode=mode,
                                 coordinate_transformation_mode=transformation)
    return node, [tensor for tensor in constants if tensor]


def cases(opset):
    """(name, mode, transformation, scales, sizes): all of linear and some of the others; less for older opsets, which
    are read as the newest."""
    for mode in MODES if opset == 19 else MODES[1:2]:
        scaled = list(enumerate(NEAREST_SCALES if mode == "nearest" else SCALES))
        sized = list(enumerate(SIZES))
        if opset != 19 or mode != "linear":
            scaled, sized = [scaled[0], scaled[3]], sized[1:2]
        for transformation in TRANSFORMATIONS:
            if transformation == "half_pixel_symmetric" and opset < 19:
                continue
            for i, scales in scaled:
                yield f"{mode}_{transformation}_scales{i}", mode, transformation, scales, None
            for i, sizes in sized:
                yield f"{mode}_{transformation}_sizes{i}", mode, transformation, None, sizes


def make_model(opset, chosen, dims):
    nodes, constants = [], []
    for name, *how in chosen:
        node, more = resize(name, opset, *how)
        nodes.append(node)
        constants += more
    graph = onnx.helper.make_graph(
        nodes, "resize", [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, dims)],
        [onnx.helper.make_tensor_value_info(node.name, onnx.TensorProto.FLOAT, ["?" + node.name, "??" + node.name])
         for node in nodes], constants)
    return onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", opset)])


def check():
    args = e2e.parser(__doc__.splitlines()[0]).parse_args()
    image = np.random.default_rng(8).standard_normal((ROWS, COLUMNS)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for kernels in args.kernels.split(","):
            for opset in (11, 19):
                chosen = list(cases(opset))
                path, artifact = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
                onnx.save(make_model(opset, chosen, ["rows", "columns"]), path)
                e2e.compile_model(args.raptc, path, artifact, [f"--kernels={kernels}"])
                with open(path, "rb") as model:
                    want = e2e.Oracle(model.read()).run({"x": image})
                got = e2e.run_model(args.rapt_run, artifact, {"x": image}, folder)
                worst = e2e.compare(got, want, TOLERANCE, f"opset {opset} {kernels}")
                print(f"opset {opset} {kernels}: {len(chosen)} results differ by up to {worst:.1e}")


if __name__ == "__main__":
    e2e.main(check)
