#!/usr/bin/env python3
"""Adds up gcov's counts: scripts/coverage.sh runs it. Arguments: the build folder, and the least
share of lines, in percent, of src/core and of src/wire each. Test machinery does not count."""
import collections
import glob
import json
import os
import re
import subprocess
import sys

PARTS = ["src/core", "src/wire"]
NOT_COUNTED = re.compile(r"(_test|_fuzz|harness|fuzz|protocol_doc)\.[ch]$")
# Of these objects: the libraries that fractosd has, not copies of the sources in other targets.
OBJECTS = ["src/core/libfractos-core.a.p", "src/wire/libfractos-wire.a.p"]


def counts_of(build):
    """{file: {line: how often it was reached}}."""
    counts = collections.defaultdict(dict)
    root = os.getcwd()
    for objects in OBJECTS:
        notes = sorted(glob.glob(os.path.join(build, objects, "*.gcno")))
        done = subprocess.run(["gcov", "--json-format", "--stdout", *[os.path.abspath(n) for n in notes]],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
                              cwd=os.path.abspath(build))
        for document in done.stdout.splitlines():
            for file in json.loads(document)["files"]:
                path = os.path.relpath(os.path.normpath(os.path.join(build, file["file"])), root)
                if os.path.dirname(path) not in PARTS or NOT_COUNTED.search(path):
                    continue
                lines = counts[path]
                for line in file["lines"]:
                    lines[line["line_number"]] = lines.get(line["line_number"], 0) + line["count"]
    return counts


def unreached(path, lines):
    text = open(path).read().split("\n")
    for number in sorted(n for n, count in lines.items() if count == 0):
        yield number, text[number - 1].strip()


def main():
    build, least = sys.argv[1], float(sys.argv[2])
    counts = counts_of(build)
    failed = not counts
    for path in sorted(counts):
        for number, text in unreached(path, counts[path]):
            print(f"{path}:{number}: {text}")
    print()
    for part in PARTS:
        reached = total = 0
        for path in sorted(p for p in counts if os.path.dirname(p) == part):
            lines = counts[path]
            hit = sum(1 for count in lines.values() if count > 0)
            print(f"{path:32} {hit:5} of {len(lines):5} lines  {100 * hit / len(lines):6.2f} %")
            reached, total = reached + hit, total + len(lines)
        share = 100 * reached / max(1, total)
        print(f"{part:32} {reached:5} of {total:5} lines  {share:6.2f} %\n")
        failed |= share < least
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
