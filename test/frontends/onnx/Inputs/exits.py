"""exits.py CODE COMMAND...: runs COMMAND, passes its output on, and fails unless it exits with CODE."""

import subprocess
import sys

expected = int(sys.argv[1])
code = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, timeout=60).returncode
if code != expected:
    sys.exit(f"exits.py: exit code {code}, expected {expected}: {' '.join(sys.argv[2:])}")
