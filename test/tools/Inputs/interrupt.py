"""Interrupts raptc while the linker runs: the signal ends it and the temporary folder goes.

usage: interrupt.py RAPTC MODEL FOLDER
"""

import os
import shutil
import signal
import subprocess
import sys
import time

raptc, model, folder = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder + "/out")
linker = folder + "/linker"
with open(linker, "w") as file:
    file.write(f"#!/bin/sh\ntouch {folder}/started\nexec sleep 600\n")
os.chmod(linker, 0o755)


def restore_signals():
    """lit or a shell may have set them to be ignored."""
    for ending in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ending, signal.SIG_DFL)


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    process = subprocess.Popen(
        [raptc, model, "--linker", linker, "-o", folder + "/out/model.so"],
        start_new_session=True,
        preexec_fn=restore_signals)
    try:
        deadline = time.monotonic() + 120
        while not os.path.exists(folder + "/started"):
            assert process.poll() is None and time.monotonic() < deadline, "the linker never ran"
            time.sleep(0.01)
        assert len(os.listdir(folder + "/out")) == 1
        process.send_signal(number)
        assert process.wait(timeout=60) == -number, process.returncode
        assert os.listdir(folder + "/out") == [], os.listdir(folder + "/out")
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the linker, which nobody told
        os.remove(folder + "/started")
