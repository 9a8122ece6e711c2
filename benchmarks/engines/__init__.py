"""The engines of the race, one a file, behind one small interface.

A module has PACKAGES (what pip installs), `versions()` (what it runs on, for the record) and `Engine`:

    Engine(name, flags, threads)   in a process of its own that may use exactly these cores
    load(case)                     makes what runs one case; replaces the last one; may take long
    bind(feeds)                    puts the inputs where runs read them
    run()                          one run, nothing returned
    outputs()                      {name: array} of the last run, in the layout of the case's graph

An engine that cannot do a case raises Unsupported with the reason. `rapt:FLAG,FLAG` names Rapt with more
flags for raptc, `rapt-unfused` one such.
"""

import importlib
import importlib.util
import os
import subprocess
import sys

from case import ROOT

REQUIREMENTS = os.path.join(ROOT, "benchmarks", "requirements.txt")
OWN_VENV = os.path.join(ROOT, ".bench-venv")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
MODULES = {"rapt": "rapt", "onnxruntime": "onnxruntime", "openvino": "openvino", "pytorch": "pytorch",
           "inductor": "pytorch", "iree": "iree"}
ALIASES = {"rapt-unfused": "rapt:--attention=unfused"}  # every attention as separate operators
NAMES = ["rapt", *ALIASES, *list(MODULES)[1:]]


class Unsupported(Exception):
    """What this engine does not do, for people."""


def module(name):
    """The module of the engine `name`, which may carry flags."""
    return importlib.import_module("engines." + MODULES[kind(name)])


def kind(name):
    """The engine's name without flags: "rapt" for all of Rapt's."""
    return ALIASES.get(name, name).partition(":")[0]


def flags(name):
    """The flags in an engine's name."""
    return [flag for flag in ALIASES.get(name, name).partition(":")[2].split(",") if flag]


def _missing(packages):
    """The packages that this interpreter lacks; PACKAGES maps pip's names to the modules they bring."""
    def found(path):
        try:
            return importlib.util.find_spec(path) is not None
        except ModuleNotFoundError:
            return False
    return [package for package, path in packages.items() if not found(path)]


def _pip(*arguments):
    """Installs packages in this environment. Returns the end of pip's complaint, or an empty text."""
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                           "-c", REQUIREMENTS, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip failed"]
    return "; ".join(lines[-2:])[:300] if done.returncode else ""


def install(name):
    """Installs what the engine needs if this interpreter is the benchmark's own. Returns why it is not
    there, or an empty text."""
    if kind(name) == "rapt":
        return module(name).absent(flags(name) if name in ALIASES else ())
    missing = _missing(module(name).PACKAGES)
    if missing and os.path.realpath(sys.prefix) == os.path.realpath(OWN_VENV):
        print(f"installing {' '.join(missing)}", file=sys.stderr, flush=True)
        if "torch" in missing:  # without CUDA's gigabytes, where that index can be reached
            _pip("--no-deps", "--retries", "0", "--timeout", "15", "--index-url", TORCH_INDEX, "torch")
        complaint = _pip(*missing)
        if complaint:
            return complaint
        importlib.invalidate_caches()
        missing = _missing(module(name).PACKAGES)
    return f"no {' and no '.join(missing)} in {sys.prefix}" if missing else ""
