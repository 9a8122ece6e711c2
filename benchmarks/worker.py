"""One engine in a process of its own, pinned to its cores, which runs what it is told and times it.

Worker is the caller's side; executed as a program, this file is the engine's side. Both send tuples over a
socket: a method's name and its arguments there, ("ok", value) or ("error", text) back.
"""

import ctypes
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection

from case import CACHE, aligned

PATIENCE = 1800  # seconds after which an engine that does not answer is given up


class WorkerError(Exception):
    """Why an engine cannot do what it was asked."""


class Worker:
    """The engine `name` on the given cores with one thread each. It is stopped between its turns, so that no
    thread of it spins while another engine runs."""

    def __init__(self, name, cores, waiting=None):
        self.name, self.threads = name, len(cores)
        mine, other = socket.socketpair()
        self._log = tempfile.TemporaryFile()
        threads = str(len(cores))
        environment = dict(os.environ, RAPT_NUM_THREADS=threads, OMP_NUM_THREADS=threads,
                           MKL_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads, PYTHONDONTWRITEBYTECODE="1",
                           TORCHINDUCTOR_CACHE_DIR=os.path.join(CACHE, "inductor"))
        command = [sys.executable, os.path.abspath(__file__), str(other.fileno()), name,
                   ",".join(map(str, cores))]
        with other:
            # A group of its own: Ctrl-C is for the caller, and compilers that it starts end with it.
            self._process = subprocess.Popen(command, env=environment, pass_fds=[other.fileno()],
                                             stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                             preexec_fn=os.setpgrp)
        self._pipe = Connection(mine.detach())
        self._stopped = self._closed = False
        self.versions = self._receive(waiting)

    @property
    def pid(self):
        return self._process.pid

    def ask(self, method, *arguments, waiting=None):
        """What the engine's side answers; waiting(seconds) is called each second until then. Raises WorkerError;
        after the death of the process, always."""
        self.wake()
        try:
            self._pipe.send((method, *arguments))
        except OSError as error:
            raise WorkerError(self._ending()) from error
        return self._receive(waiting)

    def _receive(self, waiting=None):
        try:
            begin = time.monotonic()
            while not self._pipe.poll(1.0):
                gone = time.monotonic() - begin
                if gone > PATIENCE:
                    self.close()
                    raise WorkerError(f"no answer after {PATIENCE} s")
                if waiting:
                    waiting(gone)
            kind, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerError(self._ending()) from error
        if kind == "error":
            raise WorkerError(value)
        return value

    def _ending(self):
        code = self._process.wait()
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return f"ended with code {code}: {lines[-1][:300] if lines else 'no message'}"

    def sleep(self):
        """Stops all threads of the process until its next turn."""
        if not self._stopped and self._process.poll() is None:
            os.kill(self.pid, signal.SIGSTOP)
            self._stopped = True

    def wake(self):
        if self._stopped and self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)
        self._stopped = False

    def close(self):
        """Ends the process and what it has started; may be called again."""
        if self._closed:
            return
        self._closed = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._pipe.close()
        self._log.close()


class Server:
    """The engine's side: the methods that a Worker may ask for."""

    def __init__(self, name, cores):
        os.sched_setaffinity(0, cores)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the caller
        import engines

        module = engines.module(name)
        self.engine = module.Engine(name, engines.flags(name), len(cores))
        self.versions = module.versions()

    def load(self, case):
        """Makes the case ready; returns the engine's remarks and its seconds."""
        begin = time.perf_counter()
        case = dataclasses.replace(case, feeds=aligned(case.feeds))
        remarks = self.engine.load(case)
        self.engine.bind(case.feeds)
        return {**remarks, "load_seconds": time.perf_counter() - begin}

    def footprint(self, case):
        """What suites/load.py records of this engine."""
        from suites import load

        return load.footprint(self.engine, case)

    def outputs(self):
        """{name: array} of one run."""
        import numpy as np

        self.engine.run()
        return {name: np.array(array) for name, array in self.engine.outputs().items()}

    def time(self, count, warm=True):
        """Seconds of `count` runs, after one that does not count (warm)."""
        run, now = self.engine.run, time.perf_counter_ns
        if warm:
            run()
        times = []
        for _ in range(count):
            begin = now()
            run()
            times.append((now() - begin) * 1e-9)
        return times


def serve(pipe, name, cores):
    try:
        server = Server(name, cores)
        pipe.send(("ok", server.versions))
    except Exception as error:  # the reason goes into the report
        pipe.send(("error", f"{type(error).__name__}: {error}"[:500]))
        return
    while True:
        try:
            method, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(("ok", getattr(server, method)(*arguments)))
        except Exception as error:
            text = str(error) if type(error).__name__ == "Unsupported" else f"{type(error).__name__}: {error}"
            pipe.send(("error", text[:500]))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), sys.argv[2], [int(core) for core in sys.argv[3].split(",")])
