"""The engines of the race, one a file, behind one small interface.

A module has PACKAGES (what pip installs), `versions()` (what it runs on, for the record) and `Engine`:

    Engine(name, flags, threads)   in a process of its own that may use exactly these cores
    load(case)                     makes what runs one case; replaces the last one; may take long
    bind(feeds)                    puts the inputs where runs read them
    run()                          one run, nothing returned
    outputs()                      {name: array} of the last run, in the layout of the case's graph

An engine that cannot do a case raises Unsupported with the reason. `rapt:FLAG,FLAG` names Rapt with more
flags for raptc.
"""

import importlib
import importlib.util
import os
import subprocess
import sys

from case import ROOT

REQUIREMENTS = os.path.join(ROOT, "benchmarks", "requirements.txt")
OWN_VENV = os.path.join(ROOT, ".bench-venv")
MODULES = {"rapt": "rapt", "onnxruntime": "onnxruntime", "openvino": "openvino", "pytorch": "pytorch",
           "inductor": "pytorch", "iree": "iree"}
NAMES = list(MODULES)


class Unsupported(Exception):
    """What this engine does not do, for people."""


def module(name):
    """The module of the engine `name`, which may carry flags."""
    return importlib.import_module("engines." + MODULES[name.partition(":")[0]])


def flags(name):
    """The flags in an engine's name."""
    return [flag for flag in name.partition(":")[2].split(",") if flag]


def _missing(packages):
    """The packages that this interpreter lacks; PACKAGES maps pip's names to the modules they bring."""
    def found(path):
        try:
            return importlib.util.find_spec(path) is not None
        except ModuleNotFoundError:
            return False
    return [package for package, path in packages.items() if not found(path)]


def install(name):
    """Installs what the engine needs if this interpreter is the benchmark's own. Returns why it is not
    there, or an empty text."""
    missing = _missing(module(name).PACKAGES)
    if missing and os.path.realpath(sys.prefix) == os.path.realpath(OWN_VENV):
        print(f"installing {' '.join(missing)}", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                               "--disable-pip-version-check", "-c", REQUIREMENTS, *missing],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip failed"]
            return "; ".join(lines[-2:])[:300]
        importlib.invalidate_caches()
        missing = _missing(module(name).PACKAGES)
    return f"no {' and no '.join(missing)} in {sys.prefix}" if missing else ""
