"""Rapt: raptc's shared library behind the Python binding, one artifact for all sizes unless a flag says else."""

import hashlib
import os
import subprocess
import sys
import time

from case import BUILD, ROOT, cached

sys.path.insert(0, os.path.join(ROOT, "runtime", "python"))
PACKAGES = {}
RAPTC = os.path.join(BUILD, "bin", "raptc")
os.environ.setdefault("RAPT_LIBRARY", os.path.join(BUILD, "lib", "librapt.so"))
OPENINGS = 20


def versions():
    with open(RAPTC, "rb") as f:
        return {"raptc": "sha256:" + hashlib.sha256(f.read()).hexdigest()[:16]}


def compile_graph(case, flags):
    """The artifact of a case: (path, seconds that raptc took, 0 when it was made before). The name says
    which compiler, graph and flags it came from."""
    with open(case.graph, "rb") as f:
        graph = hashlib.sha256(f.read()).hexdigest()
    artifact = cached("artifacts", f"{versions()} {graph} {flags}", ".so")
    if os.path.exists(artifact):
        return artifact, 0.0
    begin = time.perf_counter()
    compile_to(case, flags, artifact)
    return artifact, time.perf_counter() - begin


def compile_to(case, flags, path):
    """Runs raptc. Raises RuntimeError with its message."""
    done = subprocess.run([RAPTC, case.graph, "-o", path, *flags], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"raptc: {done.stderr.strip()[-500:]}")


class Engine:
    def __init__(self, _name, flags, threads):
        self._flags, self._threads = flags, threads
        self._path = self._session = self._bound = None

    def load(self, case):
        import rapt

        path, seconds = compile_graph(case, self._flags)
        if path != self._path:
            self._bound = self._session = None
            self._session, self._path = rapt.InferenceSession(path, threads=self._threads), path
        return {"artifact": path, "compile_seconds": seconds}

    def bind(self, feeds):
        self._bound = self._session.bind(feeds)
        self.run = self._bound.run

    def outputs(self):
        return self._bound.outputs

    def facts(self):
        """Bytes of the loaded artifact, its weights and the workspace for what is bound; seconds of opening it."""
        import rapt

        seconds = []
        for _ in range(OPENINGS):
            begin = time.perf_counter()
            session = rapt.InferenceSession(self._path, threads=self._threads)
            seconds.append(time.perf_counter() - begin)
            del session
        return {"artifact": self._path, "artifact_bytes": os.path.getsize(self._path),
                "weights_bytes": self._session.weights_bytes,
                "workspace_bytes": self._session.workspace_bytes(self._bound.inputs), "open_seconds": seconds}
