"""Prints 'N passed, N failed[, N skipped]' from the JSON that `lit --output` writes.

Exit code 1 when a test failed or none ran. A test that could not run (unresolved, timed out,
unexpectedly passed) counts as failed; unsupported and excluded ones as skipped.
"""

import json
import sys

PASSED = {"PASS", "FLAKYPASS", "XFAIL"}
SKIPPED = {"UNSUPPORTED", "SKIPPED", "EXCLUDED"}


def main():
    with open(sys.argv[1]) as f:
        codes = [test["code"] for test in json.load(f)["tests"]]
    passed = sum(code in PASSED for code in codes)
    skipped = sum(code in SKIPPED for code in codes)
    failed = len(codes) - passed - skipped
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
