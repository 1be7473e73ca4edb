#!/usr/bin/env python3
"""What failed in a run of `meson test`: scripts/failures.py TESTLOG.json [LINES]. First line: the
names; then of each how it ended and the last lines it printed. Nothing at all when nothing failed."""
import json
import sys

GOOD = {"OK", "SKIP", "EXPECTEDFAIL"}
# What a test prints of the test cases that went well tells nothing of the one that did not.
QUIET = ("[ RUN      ]", "[       OK ]", "ok ")


def main():
    lines = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    with open(sys.argv[1]) as log:
        failed = [test for test in map(json.loads, log) if test["result"] not in GOOD]
    if not failed:
        return
    print(" ".join(test["name"].split(" / ")[-1] for test in failed))
    for test in failed:
        print(f"{test['name']}: {test['result']}, exit {test['returncode']}, after {test['duration']:.1f} s")
        for stream in ("stdout", "stderr"):
            said = [line for line in test.get(stream, "").splitlines() if line and not line.startswith(QUIET)]
            for line in said[-lines:]:
                print(f"  {line[:200]}")


main()
