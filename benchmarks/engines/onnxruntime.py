"""onnxruntime with all of its graph optimisations and its default, spinning threads; arrays bound once."""

from case import aligned

PACKAGES = {"onnxruntime": "onnxruntime"}


def versions():
    import onnxruntime

    return {"onnxruntime": onnxruntime.__version__}


class Engine:
    def __init__(self, _name, _flags, threads):
        self._threads = threads
        self._source = self._session = None

    def load(self, case):
        import onnxruntime

        if case.graph == self._source:
            return {}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(case.graph, options,
                                                     providers=["CPUExecutionProvider"])
        self._source = case.graph
        return {}

    def bind(self, feeds):
        from onnxruntime import OrtValue

        # A first run tells the shapes of the outputs; those of dynamic models are known to nobody else.
        names = [output.name for output in self._session.get_outputs()]
        shaped = self._session.run(names, feeds)
        self._arrays = aligned(dict(zip(names, shaped)))
        self._feeds = feeds  # the bound memory
        self._binding = self._session.io_binding()
        for name, array in feeds.items():
            self._binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name, array in self._arrays.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def run(self):
        self._session.run_with_iobinding(self._binding)

    def outputs(self):
        return self._arrays
