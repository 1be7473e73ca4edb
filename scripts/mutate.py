#!/usr/bin/env python3
"""Operator mutation of the Controller's core and of the wire: makes one small wrong change at a time,
builds, runs the tests of those parts, and sees whether any fails. What survives is listed: each is
either explained in scripts/mutants.txt or wants a test.

    scripts/mutate.py [--count 300] [--seed 1] [--jobs 2] [--only PATH] [--report FILE]

Four operators: a comparison flipped, a constant off by one, a statement dropped, a condition negated.
Assertions are left alone: they guard against our own bugs and no test can reach them. Warnings are
off, so that a variable left unused does not pass for a kill. Runs outside ./check: three hundred
mutants take about an hour on two cores."""
import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = ["src/core", "src/wire"]
# Tools and test machinery; what they do wrong is no mutant of the product.
NOT_MUTATED = re.compile(r"(_test|_fuzz|fuzz|harness|protocol_doc|inspect)\.c$")
# The quick and sharp ones first: most mutants end there.
SUITES = ["core", "wire", "sim"]
# A mutant's test that takes so many times as long as without it is in a loop, and killed.
PATIENCE = 10
TEST_SECONDS = (20, 300)  # but at least, and at most without a mutant

COMPARISON = re.compile(r"(?<![<>=!\-+*/&|^])(==|!=|<=|>=|<|>)(?![<>=])")
FLIPPED = {"==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">"}
CONSTANT = re.compile(r"(?<![\w.])(\d+)(u?)(?![\w.])")
STATEMENT = re.compile(r"^(\t+)([a-z_][\w>.\[\]-]*(?:\(.*\)|\s?(?:[-+|&]?=)\s.*|\+\+|--)|(?:\+\+|--)[a-z_].*);$")
CONDITION = re.compile(r"^(\t+(?:\} else )?if \()(.*)(\)(?: \{)?)$")


def code_lines(lines):
    """(number, line) of those that are code in a function, assertions and comments aside."""
    in_comment = in_assert = False
    for number, line in enumerate(lines):
        stripped = line.strip()
        if in_comment:
            in_comment = "*/" not in stripped
            continue
        if in_assert:
            in_assert = ";" not in stripped
            continue
        if stripped.startswith("/*"):
            in_comment = "*/" not in stripped
            continue
        if "BASE_ASSERT" in stripped or "_Static_assert" in stripped:
            in_assert = ";" not in stripped
            continue
        if line.startswith("\t") and '"' not in line and "#" not in line:
            yield number, line.split("/*")[0].rstrip()


def lines_of(path):
    return open(os.path.join(ROOT, path)).read().split("\n")


def candidates(path):
    """Every mutant of a file: (path, line number, operator, new line)."""
    found = []
    previous = ""
    for number, line in code_lines(lines_of(path)):
        for match in COMPARISON.finditer(line):
            if "->" in line[max(0, match.start() - 1):match.end() + 1]:
                continue
            new = line[:match.start()] + FLIPPED[match.group(1)] + line[match.end():]
            found.append((number, "comparison flipped", new))
        for match in CONSTANT.finditer(line):
            if line.strip().startswith(("case", "_Alignas")):
                continue
            new = line[:match.start()] + str(int(match.group(1)) + 1) + match.group(2) + line[match.end():]
            found.append((number, "constant off by one", new))
        match = STATEMENT.match(line)
        # A statement that goes on from the line before is not one; a dropped sole body keeps its `;`.
        if match and previous.endswith((";", "{", "}", ")", ":", "else")) and not line.strip().startswith("return"):
            found.append((number, "statement dropped", match.group(1) + ";"))
        match = CONDITION.match(line)
        if match and match.group(2).count("(") == match.group(2).count(")"):
            found.append((number, "condition negated", f"{match.group(1)}!({match.group(2)}){match.group(3)}"))
        previous = line.strip()
    return [(path, *mutant) for mutant in found]


class Workshop:
    """A copy of the tree with a build folder of its own."""

    def __init__(self, folder):
        self.source = os.path.join(folder, "tree")
        self.build = os.path.join(folder, "build")
        shutil.copytree(ROOT, self.source, ignore=lambda at, names: [
            name for name in names if at == ROOT and name.startswith(("build", ".git"))])
        self.run(["meson", "setup", self.build, self.source, "--buildtype=plain", "-Dc_args=-O1",
                  "-Dwerror=false", "-Dwarning_level=0"], check=True)
        tests = json.loads(self.run(["meson", "introspect", "--tests", self.build], check=True).stdout)
        chosen = [t for suite in SUITES for t in tests if any(s.split(":")[-1] == suite for s in t["suite"])]
        # Scripts look at symbols and documents; what the code does is told by the programs.
        self.tests = [t for t in chosen if t["cmd"][0].startswith(self.build)]
        self.targets = [os.path.relpath(t["cmd"][0], self.build) for t in self.tests]
        built = self.run(["ninja", "-C", self.build, *self.targets])
        if built.returncode != 0:
            sys.exit(f"the tree does not build:\n{built.stdout[-2000:]}")
        for test in self.tests:
            test["limit"] = TEST_SECONDS[1]
            started = time.monotonic()
            failed = self.failure(test)
            if failed:
                sys.exit(f"{failed} fails without a mutant")
            test["took"] = time.monotonic() - started
            test["limit"] = max(TEST_SECONDS[0], PATIENCE * test["took"])
        self.tests.sort(key=lambda test: test["took"])

    def run(self, command, check=False, seconds=600):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=check,
                              timeout=seconds, errors="replace")

    def failure(self, test):
        """None, or the test's name."""
        try:
            done = self.run(test["cmd"], seconds=test["limit"])
            return test["name"] if done.returncode not in (0, 77) else None
        except subprocess.TimeoutExpired:
            return test["name"] + " (time)"

    def first_failure(self):
        return next(filter(None, map(self.failure, self.tests)), None)

    def judge(self, mutant):
        """killed by a test, does not build, or None: survived."""
        path, number, _, new = mutant
        full = os.path.join(self.source, path)
        text = open(full).read()
        lines = text.split("\n")
        lines[number] = new
        try:
            open(full, "w").write("\n".join(lines))
            if self.run(["ninja", "-C", self.build, *self.targets]).returncode != 0:
                return "does not build"
            return self.first_failure()
        finally:
            open(full, "w").write(text)


def explained():
    """Lines `path: old line -> new line => why` of scripts/mutants.txt: mutants that change nothing that can be seen."""
    path = os.path.join(ROOT, "scripts", "mutants.txt")
    known = {}
    for line in open(path) if os.path.exists(path) else []:
        if "=>" in line and not line.startswith("#"):
            mutant, why = line.split("=>", 1)
            known[mutant.strip()] = why.strip()
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", help="a path: only mutants of this file")
    parser.add_argument("--report", help="all results as JSON")
    options = parser.parse_args()

    files = [os.path.join(part, name) for part in SOURCES for name in sorted(os.listdir(os.path.join(ROOT, part)))
             if name.endswith(".c") and not NOT_MUTATED.search(name)]
    everything = [m for path in files if options.only in (None, path) for m in candidates(path)]
    chosen = random.Random(options.seed).sample(everything, min(options.count, len(everything)))
    print(f"{len(everything)} mutants possible, {len(chosen)} chosen (seed {options.seed})", flush=True)

    why = explained()
    results = []
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="fractos-mutants-") as folder:
        shops = [Workshop(os.path.join(folder, str(i))) for i in range(options.jobs)]

        def work(mutant):
            with lock:
                shop = shops.pop()
            try:
                verdict = shop.judge(mutant)
            finally:
                with lock:
                    shops.append(shop)
            path, number, operator, new = mutant
            old = lines_of(path)[number].strip()
            key = f"{path}: {old} -> {new.strip()}"
            with lock:
                results.append({"path": path, "line": number + 1, "operator": operator, "old": old, "new": new.strip(),
                                "killed_by": verdict, "explained": why.get(key)})
                state = f"killed by {verdict}" if verdict else ("explained" if key in why else "SURVIVED")
                print(f"{len(results):4} {path}:{number + 1}: {operator}: {new.strip()}: {state}", flush=True)

        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(work, chosen))

    judged = [r for r in results if r["killed_by"] != "does not build"]
    killed = [r for r in judged if r["killed_by"]]
    survivors = [r for r in judged if not r["killed_by"]]
    if options.report:
        json.dump(results, open(options.report, "w"), indent=1)
    for row in survivors:
        print(f"survived: {row['path']}:{row['line']}: {row['old']} -> {row['new']}" + (f" ({row['explained']})" if row["explained"] else ""))
    share = 100 * len(killed) / max(1, len(judged))
    print(f"{len(judged)} mutants, {len(killed)} killed ({share:.1f} %), "
          f"{sum(r['explained'] is None for r in survivors)} survivors without an explanation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
