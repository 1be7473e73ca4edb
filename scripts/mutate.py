#!/usr/bin/env python3
"""Operator mutation of the Controller's core and of the wire: makes one small wrong change at a time,
builds, runs the tests of those parts, and sees whether any fails. What survives is listed: each is
either explained in scripts/mutants.txt or wants a test.

    scripts/mutate.py [--count 300] [--seed 1] [--jobs 2] [--only PATH] [--report FILE] [--again REPORT]

Four operators: a comparison flipped, a constant off by one, a statement dropped, a condition negated.
Assertions are left alone: they guard against our own bugs and no test can reach them. Warnings are
off, so that a variable left unused does not pass for a kill. What the compiler turns into the same
code is none (planted bugs are such in this build). Runs outside ./check: three hundred mutants take
half an hour on two cores."""
import argparse
import concurrent.futures
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = ["src/core", "src/wire"]
# Tools and test machinery; what they do wrong is no mutant of the product.
NOT_MUTATED = re.compile(r"(_test|fuzz|harness|protocol_doc|inspect|check|plant)\.c$")
# Their programs, the quick ones first: most mutants end there. Last of all more seeds of the simulator,
# as ./check has them.
SUITES = ["core", "wire", "sim"]
LONG_SIM = ["--seed", "13", "--seeds", "60", "--no-minimise"]
# A mutant's test that takes so many times as long as without it is in a loop, and killed.
PATIENCE = 10
TEST_SECONDS = (120, 600)  # without a mutant, of the processor and of the clock
# Verdicts beside the name of a test that fails: no mutants.
BROKEN = "does not compile"
SAME = "same code"

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
        # Which transitions a run took is told to people, and to no program.
        if stripped.startswith("if (") and lines[number + 1].strip().startswith("CORE_COVER("):
            continue
        if line.startswith("\t") and '"' not in line and "#" not in line:
            yield number, line.split("/*")[0].rstrip()


def candidates(path):
    """Every mutant of a file: (path, line number, operator, line, new line)."""
    found = []
    previous = ""
    for number, line in code_lines(open(os.path.join(ROOT, path)).read().split("\n")):
        for match in COMPARISON.finditer(line):
            if "->" in line[max(0, match.start() - 1):match.end() + 1]:
                continue
            new = line[:match.start()] + FLIPPED[match.group(1)] + line[match.end():]
            found.append((number, "comparison flipped", line, new))
        for match in CONSTANT.finditer(line):
            if line.strip().startswith(("case", "_Alignas")):
                continue
            new = line[:match.start()] + str(int(match.group(1)) + 1) + match.group(2) + line[match.end():]
            found.append((number, "constant off by one", line, new))
        match = STATEMENT.match(line)
        # A statement that goes on from the line before is not one; a dropped sole body keeps its `;`.
        if match and previous.endswith((";", "{", "}", ")", ":", "else")) and not line.strip().startswith("return"):
            found.append((number, "statement dropped", line, match.group(1) + ";"))
        match = CONDITION.match(line)
        if match and match.group(2).count("(") == match.group(2).count(")"):
            found.append((number, "condition negated", line, f"{match.group(1)}!({match.group(2)}){match.group(3)}"))
        previous = line.strip()
    return [(path, *mutant) for mutant in found]


def mutated_files():
    return [os.path.join(part, name) for part in SOURCES for name in sorted(os.listdir(os.path.join(ROOT, part)))
            if name.endswith(".c") and not NOT_MUTATED.search(name)]


class Workshop:
    """A copy of the tree with a build folder of its own. A mutant is one object file; who uses it is linked anew when
    its turn comes, so that one that falls at once costs little more than its compilation."""

    def __init__(self, folder, first=None):
        """As quick as `first`, where that was measured."""
        self.source = os.path.join(folder, "tree")
        self.build = os.path.join(folder, "build")
        shutil.copytree(ROOT, self.source, ignore=lambda at, names: [
            name for name in names if at == ROOT and name.startswith(("build", ".git"))])
        self.output(["meson", "setup", self.build, self.source, "--buildtype=plain", "-Dc_args=-O1",
                     "-Dwerror=false", "-Dwarning_level=0"])
        tests = json.loads(self.output(["meson", "introspect", "--tests", self.build]))
        # Scripts look at symbols and documents; what the code does is told by the programs.
        self.tests = [t for t in tests if any(s.split(":")[-1] in SUITES for s in t["suite"])
                      and t["cmd"][0].startswith(self.build)]
        for test in self.tests:
            test["target"] = os.path.relpath(test["cmd"][0], self.build)
        self.output(["ninja", *{t["target"] for t in self.tests}])
        commands = self.output(["ninja", "-t", "commands", *{t["target"] for t in self.tests}]).splitlines()
        self.command = {}  # by what it makes
        for command in commands:
            made = re.search(r"(?: -o |csrDT )(\S+)", command)
            if made:
                self.command[made.group(1)] = command
        self.pristine = {}
        for path in mutated_files():
            with open(os.path.join(self.build, self.object_of(path)), "rb") as made:
                self.pristine[path] = made.read()
        long = dict(next(t for t in self.tests if t["name"] == "sim"), name="sim at length")
        long["cmd"] = [long["cmd"][0], *LONG_SIM]
        self.tests.append(long)
        if first is None:
            self.measure()
        else:
            for test, other in zip(self.tests, first.measured):
                test.update({name: other[name] for name in ("took", "cpu", "wall")})
        self.measured = list(self.tests)
        self.tests.sort(key=lambda test: (test is long, test["took"]))

    def measure(self):
        for test in self.tests:
            test["cpu"], test["wall"] = (int(limit) for limit in TEST_SECONDS)
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            failed = self.failure(test)
            if failed:
                sys.exit(f"{failed} fails without a mutant")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            # Other workshops wait for theirs only later: what was used since is this test's.
            test["took"] = after.ru_utime - before.ru_utime
            test["cpu"] = int(2 + PATIENCE * test["took"])
            test["wall"] = 20 + PATIENCE * (time.monotonic() - began)

    def output(self, command):
        done = subprocess.run(command, cwd=self.build if os.path.isdir(self.build) else None, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def make(self, path):
        """False: it cannot be made."""
        return subprocess.run(self.command[path], shell=True, cwd=self.build, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def failure(self, test):
        """None, or the test's name."""
        def limit():
            resource.setrlimit(resource.RLIMIT_CPU, (test["cpu"], test["cpu"]))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            done = subprocess.run(test["cmd"], cwd=self.build, env=os.environ | test["env"], timeout=test["wall"],
                                  preexec_fn=limit, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return test["name"] + " (time)"
        if done.returncode in (0, 77):
            return None
        return test["name"] + (" (time)" if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else "")

    @staticmethod
    def object_of(path):
        folder, name = os.path.split(path)
        return f"{folder}/libfractos-{os.path.basename(folder)}.a.p/{name}.o"

    def object_code(self, path, as_users_have_it=False):
        """The object file of a source, compiled now; None: it does not compile."""
        made = self.object_of(path)
        command = self.command[made]
        if as_users_have_it:
            command = command.replace(" -O1 ", " -O3 ")
        if subprocess.run(command, shell=True, cwd=self.build, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode != 0:
            return None
        return open(os.path.join(self.build, made), "rb").read()

    def same_when_optimized(self, full, old, new):
        path = os.path.relpath(full, self.source)
        codes = []
        for text in (new, old):
            open(full, "w").write(text)
            codes.append(self.object_code(path, True))
        return codes[0] == codes[1]

    def judge(self, mutant):
        """The test that fails, SAME or BROKEN; None: it survived."""
        path, number, _, _, new = mutant
        full = os.path.join(self.source, path)
        text = open(full).read()
        lines = text.split("\n")
        lines[number] = new
        changed = "\n".join(lines)
        folder = os.path.dirname(path)
        archive = f"{folder}/libfractos-{os.path.basename(folder)}.a"
        try:
            open(full, "w").write(changed)
            if self.object_code(path) is None:
                return BROKEN
            self.make(archive)
            for test in self.tests:
                if archive not in self.command[test["target"]]:
                    continue
                if not self.make(test["target"]):
                    return BROKEN
                failed = self.failure(test)
                if failed:
                    return failed
            return SAME if self.same_when_optimized(full, text, changed) else None
        finally:
            open(full, "w").write(text)
            open(os.path.join(self.build, self.object_of(path)), "wb").write(self.pristine[path])
            self.make(archive)


def name_of(mutant):
    path, _, _, old, new = mutant
    return f"{path}: {old.strip()} -> {new.strip()}"


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
    parser.add_argument("--again", metavar="REPORT", help="only those that survived then and are not explained")
    options = parser.parse_args()

    why = explained()
    everything = [m for path in mutated_files() if options.only in (None, path) for m in candidates(path)]
    if options.again:
        survived = [row for row in json.load(open(options.again)) if row["verdict"] is None]
        names = {(row["path"], row["old"], row["new"]) for row in survived}
        chosen = [m for m in everything if (m[0], m[3].strip(), m[4].strip()) in names and name_of(m) not in why]
    else:
        chosen = random.Random(options.seed).sample(everything, min(options.count, len(everything)))
    print(f"{len(everything)} mutants possible, {len(chosen)} chosen (seed {options.seed})", flush=True)

    results = []
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="fractos-mutants-") as folder:
        shops = []
        for i in range(options.jobs):
            shops.append(Workshop(os.path.join(folder, str(i)), shops[0] if shops else None))

        def work(mutant):
            with lock:
                shop = shops.pop()
            try:
                verdict = shop.judge(mutant)
            finally:
                with lock:
                    shops.append(shop)
            path, number, operator, old, new = mutant
            old = old.strip()
            key = name_of(mutant)
            with lock:
                results.append({"path": path, "line": number + 1, "operator": operator, "old": old, "new": new.strip(),
                                "verdict": verdict, "explained": why.get(key)})
                state = verdict or ("explained" if key in why else "SURVIVED")
                print(f"{len(results):4} {path}:{number + 1}: {operator}: {old} -> {new.strip()}: {state}", flush=True)
                if options.report:
                    with open(options.report, "w") as report:
                        json.dump(results, report, indent=1)

        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(work, chosen))

    judged = [r for r in results if r["verdict"] not in (BROKEN, SAME)]
    killed = [r for r in judged if r["verdict"]]
    survivors = [r for r in judged if not r["verdict"]]
    for row in survivors:
        print(f"survived: {row['path']}:{row['line']}: {row['old']} -> {row['new']}" + (f" ({row['explained']})" if row["explained"] else ""))
    share = 100 * len(killed) / max(1, len(judged))
    print(f"{len(judged)} mutants ({len(results) - len(judged)} more were none), {len(killed)} killed ({share:.1f} %), "
          f"{sum(r['explained'] is None for r in survivors)} survivors without an explanation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
