"""lit configuration of the whole test folder; test/CMakeLists.txt writes lit.site.cfg.py around it.

Substitutions: %raptc, %rapt-opt, %rapt-run, %python, %models (this source tree's test/models),
%library and %tools (options of the Python scripts), %minilm
(folder of MiniLM's weights and tokenizer) and the plain names raptc, rapt-opt, rapt-run, FileCheck,
not, split-file, %s, %t.
"""

import os

import lit.formats

config.name = "rapt"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test", ".onnxtxt"]
config.excludes = ["models", "Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.rapt_build_dir + "/test"

for name in ("HOME", "RAPT_NUM_THREADS", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
config.environment["RAPT_KERNEL_CACHE"] = config.test_exec_root + "/kernels"
config.environment["PATH"] = os.pathsep.join(
    [config.rapt_bin_dir, config.llvm_bin_dir, os.environ.get("PATH", "")])

# Longer names first: %rapt-run must not be read as a shorter one.
config.substitutions += [
    ("%rapt-run", config.rapt_bin_dir + "/rapt-run"),
    ("%rapt-opt", config.rapt_bin_dir + "/rapt-opt"),
    ("%raptc", config.rapt_bin_dir + "/raptc"),
    ("%python", config.python),
    ("%models", config.test_source_root + "/models"),
    ("%minilm", config.minilm_dir),
    ("%library", f"--library={config.rapt_build_dir}/lib/librapt.so "
                 f"--python-package={config.test_source_root}/../runtime/python"),
    ("%tools", f"--raptc={config.rapt_bin_dir}/raptc --rapt-run={config.rapt_bin_dir}/rapt-run"),
]
# What this CPU can run, by the flags in which levels 3 and 4 of the x86-64 psABI differ from the level below.
with open("/proc/cpuinfo", encoding="utf-8") as f:
    flags = set(next((line for line in f if line.startswith("flags")), "").split())
if {"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe"} <= flags:
    config.available_features.add("x86-64-v3")
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags:
        config.available_features.add("x86-64-v4")
if os.path.exists(config.minilm_dir + "/model.safetensors"):
    config.available_features.add("minilm")
