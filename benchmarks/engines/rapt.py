"""Rapt: raptc's shared library behind the Python binding, one artifact for all sizes unless a flag says else."""

import functools
import glob
import hashlib
import os
import subprocess
import sys
import time

import machine
from case import BUILD, ROOT, cached, fingerprint

sys.path.insert(0, os.path.join(ROOT, "runtime", "python"))
PACKAGES = {}
RAPTC = os.path.join(BUILD, "bin", "raptc")
os.environ.setdefault("RAPT_LIBRARY", os.path.join(BUILD, "lib", "librapt.so"))
OPENINGS = 20


@functools.cache
def versions():
    """A hash of the compiler and of the runtime that it links into artifacts."""
    digest = hashlib.sha256()
    for path in [RAPTC, *sorted(glob.glob(os.path.join(BUILD, "lib", "librapt*.a")))]:
        with open(path, "rb") as f:
            digest.update(f.read())
    return {"raptc": "sha256:" + digest.hexdigest()[:16]}


def absent(flags):
    """Why there is no raptc that takes these flags, or an empty text."""
    if not os.path.exists(RAPTC):
        return f"no {RAPTC}"
    for flag in flags:
        name = flag.partition("=")[0]
        if name.startswith("--") and name not in _help():
            return f"raptc has no {name}"
    return ""


@functools.cache
def _help():
    return subprocess.run([RAPTC, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


def compile_graph(case, flags):
    """The artifact of a case: (path, seconds that raptc took, 0 when it was made before). The name says
    which compiler, graph, weights, flags and CPU it came from."""
    key = f"{versions()} {fingerprint(case.graph)} {flags} {machine.cpu_key()}"
    artifact = cached("artifacts", key, ".so")
    if os.path.exists(artifact):
        return artifact, 0.0
    begin = time.perf_counter()
    compile_to(case, flags, artifact + ".part.so")
    os.replace(artifact + ".part.so", artifact)
    return artifact, time.perf_counter() - begin


def compile_to(case, flags, path):
    """Runs raptc, which compiles every kernel. Raises RuntimeError with its message."""
    done = subprocess.run([RAPTC, case.graph, "-o", path, "--kernel-cache=", *flags], stdin=subprocess.DEVNULL,
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
        return {"artifact": os.path.basename(path), "compile_seconds": seconds}

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
        return {"artifact": os.path.basename(self._path), "artifact_bytes": os.path.getsize(self._path),
                "weights_bytes": self._session.weights_bytes,
                "workspace_bytes": self._session.workspace_bytes(self._bound.inputs), "open_seconds": seconds}
