"""Rapt in Python: compiled models behind the interface that onnxruntime users know.

    session = rapt.InferenceSession("model.so")
    (embedding,) = session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})

A thin ctypes layer over librapt.so, which is looked for at RAPT_LIBRARY, then in the build folder of
the source tree that holds this package, then where the dynamic loader looks. Needs numpy; bfloat16
outputs need the package ml_dtypes.
"""

import ctypes
import math
import os
import threading
from pathlib import Path

import numpy as np

__all__ = ["BoundRun", "InferenceSession", "RaptError", "TensorInfo", "version"]

_MAX_RANK = 8

# rapt_dtype: (numpy name, ONNX's name as onnxruntime prints it)
_DTYPES = {
    1: ("float32", "float"),
    2: ("uint8", "uint8"),
    3: ("int8", "int8"),
    4: ("uint16", "uint16"),
    5: ("int16", "int16"),
    6: ("int32", "int32"),
    7: ("int64", "int64"),
    9: ("bool", "bool"),
    10: ("float16", "float16"),
    11: ("float64", "double"),
    12: ("uint32", "uint32"),
    13: ("uint64", "uint64"),
    16: ("bfloat16", "bfloat16"),
}
_NUMBERS = {name: number for number, (name, _) in _DTYPES.items()}


class _Tensor(ctypes.Structure):
    """rapt_tensor"""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.c_int64 * _MAX_RANK),
    ]


class _TensorInfo(ctypes.Structure):
    """rapt_tensor_info"""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.c_int64 * _MAX_RANK),
        ("dim_texts", ctypes.c_char_p * _MAX_RANK),
    ]


class _ModelInfo(ctypes.Structure):
    """rapt_model_info"""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("producer", ctypes.c_char_p),
        ("cpu", ctypes.c_char_p),
        ("features", ctypes.c_char_p),
        ("num_symbols", ctypes.c_int32),
        ("num_inputs", ctypes.c_int32),
        ("num_outputs", ctypes.c_int32),
        ("symbols", ctypes.POINTER(ctypes.c_char_p)),
        ("weights_bytes", ctypes.c_uint64),
    ]


class _WorkspaceOptions(ctypes.Structure):
    """rapt_workspace_options"""

    _fields_ = [
        ("num_threads", ctypes.c_int32),
        ("memory", ctypes.c_void_p),
        ("bytes", ctypes.c_uint64),
    ]


def _load_library():
    built = Path(__file__).resolve().parents[3] / "build" / "lib" / "librapt.so"
    path = os.environ.get("RAPT_LIBRARY") or (str(built) if built.exists() else "librapt.so")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{error}; looked for {built} (`scripts/build RaptRuntimeShared` makes it) and for "
                          "librapt.so where shared libraries are; RAPT_LIBRARY may name another file") from error
    pointer, number = ctypes.c_void_p, ctypes.c_int32
    signatures = {
        "rapt_open": (number, [ctypes.c_char_p, ctypes.POINTER(pointer)]),
        "rapt_close": (None, [pointer]),
        "rapt_describe": (number, [pointer, ctypes.POINTER(_ModelInfo)]),
        "rapt_input_info": (number, [pointer, number, ctypes.POINTER(_TensorInfo)]),
        "rapt_output_info": (number, [pointer, number, ctypes.POINTER(_TensorInfo)]),
        "rapt_output_shapes": (number, [pointer, pointer, number, pointer]),
        "rapt_workspace_size": (
            number,
            [pointer, pointer, number, number, ctypes.POINTER(ctypes.c_uint64)],
        ),
        "rapt_workspace_create": (
            number,
            [pointer, ctypes.POINTER(_WorkspaceOptions), ctypes.POINTER(pointer)],
        ),
        "rapt_workspace_destroy": (None, [pointer]),
        "rapt_run": (number, [pointer, pointer, number, pointer, number]),
        "rapt_result_shapes": (number, [pointer, pointer]),
        "rapt_last_error": (ctypes.c_char_p, []),
        "rapt_status_name": (ctypes.c_char_p, [number]),
        "rapt_version": (ctypes.c_char_p, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_library = _load_library()


class RaptError(RuntimeError):
    """A failed call; `status` is the name of its rapt_status ("RAPT_ERROR_SHAPE")."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def _check(status):
    if status:
        raise RaptError(
            _library.rapt_status_name(status).decode(), _library.rapt_last_error().decode()
        )


def _numpy_dtype(number):
    name = _DTYPES[number][0]
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _as_native(value):
    array = np.asarray(value)
    return np.require(array, array.dtype.newbyteorder("="), "CA")


def _as_tensor(name, array):
    tensor = _Tensor()
    tensor.name = name.encode()
    tensor.data = array.ctypes.data
    tensor.dtype = _NUMBERS.get(array.dtype.name, 0)
    tensor.rank = array.ndim
    for i, dim in enumerate(array.shape[:_MAX_RANK]):
        tensor.dims[i] = dim
    return tensor


def version():
    """The runtime's version, "0.1.0"."""
    return _library.rapt_version().decode()


class TensorInfo:
    """An input or output: `name`, `type` ("tensor(float)") and `shape`, a list of numbers and, for dims
    that depend on the inputs, texts."""

    def __init__(self, info):
        self.name = info.name.decode()
        self.type = f"tensor({_DTYPES[info.dtype][1]})"
        dims = [(info.dims[i], info.dim_texts[i].decode()) for i in range(info.rank)]
        self.shape = [text if value < 0 else value for value, text in dims]

    def __repr__(self):
        return f"TensorInfo(name={self.name!r}, type={self.type!r}, shape={self.shape!r})"


class InferenceSession:
    """An open model with a workspace of its own.

    path: a shared library written by raptc. threads: 0 for RAPT_NUM_THREADS or the CPUs that this process
    may use. Several threads may call `run`; the calls take turns. For runs at the same time make one
    session per thread: the weights are shared.
    """

    def __init__(self, path, threads=0):
        self._model = ctypes.c_void_p()
        self._workspace = ctypes.c_void_p()
        self._lock = threading.Lock()
        _check(_library.rapt_open(os.fsencode(path), ctypes.byref(self._model)))
        options = _WorkspaceOptions(num_threads=threads)
        _check(
            _library.rapt_workspace_create(
                self._model, ctypes.byref(options), ctypes.byref(self._workspace)
            )
        )
        info = _ModelInfo()
        _check(_library.rapt_describe(self._model, ctypes.byref(info)))
        self.name, self.producer = info.name.decode(), info.producer.decode()
        self.weights_bytes, self._threads = info.weights_bytes, threads
        self._inputs = self._infos(_library.rapt_input_info, info.num_inputs)
        self._outputs = self._infos(_library.rapt_output_info, info.num_outputs)

    def __del__(self):
        # Also after a failing __init__; at exit the library may be gone already.
        if _library is not None and hasattr(self, "_workspace"):
            _library.rapt_workspace_destroy(self._workspace)
            _library.rapt_close(self._model)

    def _infos(self, function, count):
        result, info = [], _TensorInfo()
        for index in range(count):
            _check(function(self._model, index, ctypes.byref(info)))
            result.append(TensorInfo(info))
        return result

    def get_inputs(self):
        """A TensorInfo for each input."""
        return list(self._inputs)

    def get_outputs(self):
        """A TensorInfo for each output."""
        return list(self._outputs)

    def run(self, output_names, inputs):
        """Computes the model. inputs: {name: array}, every input once, with the model's dtype; arrays
        that are not contiguous, or not in the machine's byte order, are copied. Returns new arrays in
        the order of output_names (None: all, in the model's order). Raises RaptError."""
        for name in output_names or ():
            if all(name != info.name for info in self._outputs):
                raise RaptError("RAPT_ERROR_NAME", f"the model has no output '{name}'")
        bound = self.bind(inputs)
        bound.run()
        return [bound.outputs[name] for name in (output_names or bound.outputs)]

    def bind(self, inputs):
        """A BoundRun for {name: array}: `run()` reads the arrays anew each time. Raises RaptError."""
        return BoundRun(self, inputs)

    def workspace_bytes(self, inputs):
        """How much workspace memory a run on {name: array} needs. Raises RaptError."""
        size = ctypes.c_uint64()
        given = (_Tensor * len(inputs))(*[_as_tensor(n, _as_native(a)) for n, a in inputs.items()])
        _check(
            _library.rapt_workspace_size(
                self._model, given, len(inputs), self._threads, ctypes.byref(size)
            )
        )
        return size.value


class BoundRun:
    """A model with its arguments in place, for many runs on the same memory.

    inputs: the arrays that runs read, as given where they needed no copy. outputs: {name: array}, on memory
    made once and overwritten by each `run()`; where sizes depend on data, each run gives new views of it.
    """

    def __init__(self, session, inputs):
        self._session = session
        self.inputs = {name: _as_native(value) for name, value in inputs.items()}
        self._given = (_Tensor * len(inputs))(*[_as_tensor(n, a) for n, a in self.inputs.items()])
        self._wanted = (_Tensor * len(session._outputs))()
        _check(
            _library.rapt_output_shapes(
                session._model, self._given, len(self._given), self._wanted
            )
        )
        self.outputs, self._room = {}, {}
        for info, tensor in zip(session._outputs, self._wanted):
            array = np.empty(tensor.dims[: tensor.rank], _numpy_dtype(tensor.dtype))
            tensor.data = array.ctypes.data
            self.outputs[info.name] = self._room[info.name] = array
        self._given_back = (_Tensor * len(session._outputs))()

    def run(self):
        """Computes the outputs. Raises RaptError."""
        session = self._session
        with session._lock:
            _check(
                _library.rapt_run(
                    session._workspace, self._given, len(self._given), self._wanted, len(self._wanted)
                )
            )
            _check(_library.rapt_result_shapes(session._workspace, self._given_back))
        for (name, room), tensor in zip(self._room.items(), self._given_back):
            shape = tuple(tensor.dims[: tensor.rank])
            if self.outputs[name].shape != shape:
                self.outputs[name] = room.reshape(-1)[: math.prod(shape)].reshape(shape)
