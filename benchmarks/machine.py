"""What the machine is and how fast it is at this moment: peak, bandwidth, stolen time, CPU."""

import functools
import glob
import os
import subprocess

from case import CACHE, ROOT

SOURCES = os.path.join(ROOT, "benchmarks")
COMPILER = "clang-22"


def cores(threads):
    """The cores that every engine is pinned to: the first that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    if threads > len(usable):
        raise ValueError(f"{threads} threads asked for, this process may use {len(usable)} cores")
    return usable[:threads]


class GaugeError(RuntimeError):
    """A program that measures the machine has ended."""


class Gauge:
    """Measures FMA peak and read bandwidth of `threads` pinned threads, whenever asked.

    march: the instruction set that the peak is of, as the compiler names it. The programs stay alive
    between measurements and sleep."""

    def __init__(self, threads, march="native"):
        self.flags = ["-O2", f"-march={march}", "-pthread"]
        self._programs = [self._start(name, threads) for name in ("fma_peak", "read_bandwidth")]

    def _start(self, name, threads):
        os.makedirs(CACHE, exist_ok=True)
        program = os.path.join(CACHE, f"{name}-{self.flags[1][7:]}")
        mine = f"{program}.{os.getpid()}"  # another run may be using that one
        subprocess.run([COMPILER, *self.flags, os.path.join(SOURCES, name + ".c"), "-o", mine], check=True)
        os.replace(mine, program)
        pinned = cores(threads)
        return subprocess.Popen([program, str(threads), "-"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True,
                                preexec_fn=lambda: (os.setpgrp(), os.sched_setaffinity(0, pinned)))

    def measure(self):
        """{peak: GFLOP/s, isa: its name, bandwidth: GB/s}. Raises GaugeError."""
        answers = []
        for program in self._programs:
            try:
                program.stdin.write("\n")
                program.stdin.flush()
                answers.append(program.stdout.readline().split())
            except BrokenPipeError:
                answers.append([])
            if not answers[-1]:
                raise GaugeError(f"{os.path.basename(program.args[0])} has ended")
        return {"peak": float(answers[0][0]), "isa": answers[0][1], "bandwidth": float(answers[1][0])}

    def close(self):
        for program in self._programs:
            try:
                program.stdin.close()
            except BrokenPipeError:  # it has ended already
                pass
            program.wait()
            program.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def drift(before, after):
    """How much peak or bandwidth moved between two measurements, the larger of both: 0.1 is 10 %."""
    return max(abs(after[key] / before[key] - 1) for key in ("peak", "bandwidth"))


def cpu_ticks():
    """(stolen, all) ticks of all cores since the machine started."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(x) for x in f.readline().split()[1:9]]
    return (fields[7] if len(fields) > 7 else 0), sum(fields)


def steal_between(before, after):
    """The stolen share of the time between two answers of cpu_ticks(), in percent."""
    return 100 * (after[0] - before[0]) / max(1, after[1] - before[1])


def cpu_seconds(pid):
    """CPU time that a process has used so far, all threads."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waiting_seconds(pid):
    """How long threads of a process were ready to run while something else had their core; 0 where the kernel
    does not count it."""
    total = 0
    for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(task, encoding="ascii") as f:
                total += int(f.read().split()[1])
        except (OSError, IndexError):  # the thread has ended; the kernel has no such file
            continue
    return 1e-9 * total


def memory_map(pid, path=""):
    """{rss, pss, private, shared} in bytes of a process, or only of its mappings of files whose path ends so."""
    names = {"Rss": "rss", "Pss": "pss", "Private_Clean": "private", "Private_Dirty": "private",
             "Shared_Clean": "shared", "Shared_Dirty": "shared"}
    total, counted = dict.fromkeys(names.values(), 0), True
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        for line in f:
            key, _, rest = line.partition(":")
            if "-" in key.split(" ")[0]:  # the head of a mapping: address range, ..., path
                counted = not path or line.rstrip("\n").endswith(path)
            elif counted and key in names:
                total[names[key]] += 1024 * int(rest.split()[0])
    return total


def _output(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cache_sizes():
    sizes, folder = {}, "/sys/devices/system/cpu/cpu0/cache"
    for index in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if index.startswith("index"):
            level, kind, size = (open(os.path.join(folder, index, name), encoding="ascii").read().strip()
                                 for name in ("level", "type", "size"))
            if kind != "Instruction":
                sizes["L" + level] = size
    return sizes


def last_cache_bytes():
    """Size of the last level of cache; 32 MB where the system does not say."""
    size = list(_cache_sizes().values() or ["32768K"])[-1]
    return int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20}[size[-1]]


def _cpu():
    """The first processor's entries of /proc/cpuinfo."""
    info = {}
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            key, _, value = line.partition(":")
            info.setdefault(key.strip(), value.strip())
    return info


@functools.cache
def cpu_key():
    """A text that differs between CPUs for which compiled code may differ."""
    info = _cpu()
    return " ".join(info.get(key, "") for key in ("vendor_id", "cpu family", "model", "flags"))


def describe():
    """CPU, caches, kernel, compiler and commit, for the record."""
    info = _cpu()
    flags = [flag for flag in info.get("flags", "").split() if flag.startswith(("avx", "fma", "amx"))]
    return {
        "cpu": info.get("model name", "unknown"),
        "family_model_stepping": [info.get(k, "") for k in ("cpu family", "model", "stepping")],
        "vector_flags": " ".join(flags), "cores": len(os.sched_getaffinity(0)), "caches": _cache_sizes(),
        "kernel": os.uname().release, "load": os.getloadavg(),
        "compiler": _output(COMPILER, "--version").partition("\n")[0],
        "commit": _output("git", "rev-parse", "HEAD"),
        "modified": bool(_output("git", "status", "--porcelain", "--untracked-files=no")),
    }
