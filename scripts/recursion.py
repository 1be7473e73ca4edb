#!/usr/bin/env python3
"""Looks for recursion in the core: a Process must not be able to choose how deep its Controller's stack gets.

The compiler writes who calls whom (-fcallgraph-info=su, GCC), here without optimization, so that no call is hidden in
another. A call through a pointer counts as a call of each handler of a call or message, unless it leads out of the
core, or asks a record for its key. Every cycle must be one of ALLOWED, each with its bound and the reason for it. Prints the bytes of stack of one
turn of each.

    recursion.py GCC        (of src/core)
    recursion.py --check    (that it finds a cycle where there is one)"""
import collections
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent

# The functions of a cycle: how often at most it is gone round, and why.
ALLOWED = {
    frozenset({"hash_value", "hash_bundle"}): (17, "values nest FOS_NEST_MAX deep, checked where one is made"),
}
OUTWARD = re.compile(r"core_grow$|core_inspect$|walk_\w+$")  # their pointers are the shell's, or the inspector's
STACK = 64 * 1024  # bytes that all turns of one cycle may take
ASKS_KEY = re.compile(r"split$|core_lookup_add$")  # of hash.c: their pointers are KEYS
KEYS = re.compile(r"core_\w+_key$")
HANDLERS = re.compile(r"(core_receive_|core_call_|receive_|call_)\w+$")


def compile_one(gcc: str, source: pathlib.Path, into: str) -> str:
    done = subprocess.run(
        [gcc, "-std=gnu17", "-O0", "-fcallgraph-info=su", "-I", root / "src", "-I", root / "include", "-c", source,
         "-o", f"{into}/{source.stem}.o"], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr


def read_graph(texts: list[str]) -> tuple[dict[str, set[str]], dict[str, int]]:
    calls: dict[str, set[str]] = collections.defaultdict(set)
    stack: dict[str, int] = {}
    for text in texts:
        for name, label in re.findall(r'^node: \{ title: "([^"]+)" label: "([^"]*)"', text, flags=re.M):
            size = re.search(r"(\d+) bytes", label)
            if size:
                stack[name] = int(size.group(1))
        for caller, callee in re.findall(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text, flags=re.M):
            if callee != "__indirect_call":
                calls[caller].add(callee)
            elif ASKS_KEY.match(caller.split(":")[-1]):
                calls[caller].add("__key")
            elif not OUTWARD.match(caller.split(":")[-1]):
                calls[caller].add(callee)
    for name in stack:
        if HANDLERS.match(name.split(":")[-1]):
            calls["__indirect_call"].add(name)
        if KEYS.match(name.split(":")[-1]):
            calls["__key"].add(name)
    return calls, stack


def cycles(calls: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected parts with an edge inside (Tarjan, without recursion of its own)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found = []
    for start in list(calls):
        if start in index:
            continue
        work = [(start, iter(sorted(calls[start])))]
        index[start] = low[start] = len(index)
        path.append(start)
        on_path.add(start)
        while work:
            name, left = work[-1]
            deeper = next(left, None)
            if deeper is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    part = []
                    while not part or part[-1] != name:
                        part.append(path.pop())
                        on_path.discard(part[-1])
                    if len(part) > 1 or name in calls[name]:
                        found.append(sorted(part))
            elif deeper not in index:
                index[deeper] = low[deeper] = len(index)
                path.append(deeper)
                on_path.add(deeper)
                work.append((deeper, iter(sorted(calls.get(deeper, ())))))
            elif deeper in on_path:
                low[name] = min(low[name], index[deeper])
    return found


def judge(calls: dict[str, set[str]], stack: dict[str, int]) -> list[str]:
    mistakes = []
    left = set(ALLOWED)
    for part in cycles(calls):
        names = frozenset(name.split(":")[-1] for name in part)
        turn = sum(stack.get(name, 0) for name in part)
        left.discard(names)
        if names not in ALLOWED:
            mistakes.append("these call each other, as deep as they like: " + ", ".join(part))
            continue
        bound, reason = ALLOWED[names]
        print(f"{', '.join(sorted(names))}: {turn} bytes a turn, at most {bound} turns: {reason}")
        if turn * bound > STACK:
            mistakes.append(f"{', '.join(part)}: {turn} bytes, {bound} times, are too many")
    mistakes += [f"allowed, but there is no such cycle: {', '.join(sorted(names))}" for names in left]
    return mistakes


def check() -> list[str]:
    """A cycle through a pointer and one of a single function; a ladder is none."""
    graph = ('edge: { sourcename: "a" targetname: "b" }\nedge: { sourcename: "b" targetname: "__indirect_call" }\n'
             'node: { title: "core_call_x" label: "16 bytes (static)" }\n'
             'edge: { sourcename: "core_call_x" targetname: "a" }\n'
             'edge: { sourcename: "s" targetname: "s" }\nedge: { sourcename: "c" targetname: "a" }\n')
    found = cycles(read_graph([graph])[0])
    wanted = [["__indirect_call", "a", "b", "core_call_x"], ["s"]]
    return [] if sorted(found) == wanted else [f"found {found} where there is {wanted}"]


def main() -> int:
    mistakes = check()
    if sys.argv[1:] != ["--check"]:
        sources = [source for source in sorted((root / "src/core").glob("*.c"))
                   if not re.search(r"(_test|fuzz|harness|plant)\.c$", source.name)]
        with tempfile.TemporaryDirectory() as into, concurrent.futures.ThreadPoolExecutor(2) as pool:
            mistakes += filter(None, pool.map(lambda source: compile_one(sys.argv[1], source, into), sources))
            graphs = [path.read_text() for path in pathlib.Path(into).glob("*.ci")]
        calls, stack = read_graph(graphs)
        if len(graphs) < len(sources) or not calls["__indirect_call"] or not calls["__key"]:
            mistakes.append("not all of the core was seen")
        mistakes += judge(calls, stack)
    for mistake in mistakes:
        print(mistake)
    return 1 if mistakes else 0


sys.exit(main())
