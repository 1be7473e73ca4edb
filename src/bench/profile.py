#!/usr/bin/env python3
"""Where an RPC across nodes goes, or a block of a volume of another node: instructions and system calls
of one call, by party and part.

Usage: profile.py BUILD [call|read|write] [FUNCTIONS]      BUILD: meson setup BUILD -Ddebug=true

Two Controllers on the loopback, the echo (or blk) and its caller run under callgrind, once with few calls and once with many:
the difference is what a call takes, without start and end. FUNCTIONS more lines name the dearest functions. Under
callgrind everybody is slower than the others expect, so looks that found nothing are many: they are told apart by
their number, which callgrind counts too (looks: turns of a Controller, polls of a Process).
"""
import collections
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile

FEW, MANY = 500, 2500
LOOKS = {"Controller there": "net_poll", "Controller here": "net_poll"}  # a Process's: fos_poll
SYSTEM_CALLS = re.compile(r"(epoll_p?wait2?|writev?|readv?|(send|recv)(msg)?|sched_yield|(__sys_)?io_uring_(enter|submit)\d?)"
                          r"(@.*)?$")


def cluster_file(where):
    with open(f"{where}/key", "w", opener=lambda path, flags: os.open(path, flags, 0o600), encoding="ascii") as key:
        key.write(secrets.token_hex(32))
    with open(f"{where}/cluster.conf", "w", encoding="ascii") as out:
        out.write(f"[cluster]\nname = profile\nkey = {where}/key\nregistry = here\nheartbeat_ms = 10000\n"
                  "failure_timeout_ms = 60000\ndefault_time_ms = 60000\n")
        for i, node in enumerate(("here", "there")):
            out.write(f"\n[node {node}]\nid = {i + 1}\naddress = 127.0.0.1\nport = {20000 + os.getpid() % 20000 + i}\n"
                      f"socket = {where}/{node}.socket\nrecorder = {where}/{node}.recorder\n")


class Run:
    """One cluster, `count` calls; profiles are in where/PARTY.COUNT."""

    def __init__(self, build, where, what, count):
        self.where, self.count, self.started = where, count, []
        programs = {name: f"{build}/src/{path}" for name, path in
                    (("fractosd", "controller/fractosd"), ("registry", "services/registry/fractos-registry"),
                     ("bench", "bench/fractos-bench"), ("blk", "services/blk/fractos-blk"))}
        words, serving, served = ["calls", "echo"], [programs["bench"], "serve", "echo", "echo"], "echo"
        if what != "call":
            file = f"/dev/shm/{os.path.basename(where)}.{count}"
            words, served = ["blocks", file, what], "blk"
            serving = [programs["blk"], "--device", f"ours={file}", "--name", "bench/blk"]
            subprocess.run([programs["bench"], "blocks", file], check=True)
        self.parties = ("caller", "Controller here", "Controller there", served)
        try:
            for node in ("here", "there"):
                self.start([programs["fractosd"], "--cluster", f"{where}/cluster.conf", "--node", node], node,
                           f"Controller {node}")
            self.start([programs["registry"]], "here")
            self.start(serving, "there", served)
            caller = self.spawn([programs["bench"], *words, str(count)], "here", "caller")
            if caller.wait(600) != 0:
                sys.exit("the calls failed")
        finally:
            for process in reversed(self.started):
                process.send_signal(signal.SIGTERM)
                process.wait(60)
            if what != "call":
                os.unlink(file)

    def spawn(self, words, node, party=None):
        if party:
            words = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self.where}/{party}.{self.count}", *words]
        with open(f"{self.where}/log", "ab") as log:
            return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log,
                                    env={**os.environ, "FRACTOS_SOCKET": f"{self.where}/{node}.socket"})

    def start(self, words, node, party=None):
        process = self.spawn(words, node, party)
        self.started.append(process)
        if b"ready" not in process.stdout.readline():
            sys.exit(f"{words[0]} did not start; see {self.where}/log")


def costs(path):
    """Instructions by (file, function, object)."""
    text = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", "--show-percs=no", path],
                          capture_output=True, text=True, check=True).stdout
    found = collections.Counter()
    for line in text.splitlines():
        match = re.match(r"\s*([\d,]+)\s+(\S+?):(\S+)(?: \[(.*)\])?$", line)
        if match:
            found[match.group(2), match.group(3), match.group(4) or ""] += int(match.group(1).replace(",", ""))
    return found


def calls(path):
    """How often each function was called."""
    names, found, current = {}, collections.Counter(), None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            match = re.match(r"c?fn=\((\d+)\)(?: (.*))?$", line)
            if match:
                if match.group(2):
                    names[match.group(1)] = match.group(2).strip()
                if line.startswith("cfn"):
                    current = match.group(1)
            elif line.startswith("calls="):
                found[current] += int(line[6:].split()[0])
    total = collections.Counter()
    for number, count in found.items():
        total[names.get(number, number)] += count
    return total


def part(where):
    path, _, library = where
    ours = re.search(r"src/(?:services/)?(\w+)/[\w.]+$", path)
    if ours and "/sysdeps/" not in path:
        return ours.group(1)
    for name in ("libfabric", "libc", "liburing"):
        if f"/{name}.so" in library:
            return name
    return "libfabric" if "/rdma/" in path else "liburing" if path.endswith("/liburing.h") else "other"


def each(read, where, party):
    few, many = read(f"{where}/{party}.{FEW}"), read(f"{where}/{party}.{MANY}")
    return {key: (many[key] - few[key]) / (MANY - FEW) for key in many}


def main():
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__)
    what = sys.argv[2] if len(sys.argv) > 2 else "call"
    more = int(sys.argv[3]) if len(sys.argv) == 4 else 0
    with tempfile.TemporaryDirectory(prefix="fractos-profile-") as where:
        cluster_file(where)
        for count in (FEW, MANY):
            parties = Run(sys.argv[1], where, what, count).parties
        for party in parties:
            look = LOOKS.get(party, "fos_poll")
            functions, called = each(costs, where, party), each(calls, where, party)
            parts = collections.Counter()
            for function, cost in functions.items():
                parts[part(function)] += cost
            print(f"{party}: {sum(parts.values()):.0f} instructions, {called.get(look, 0):.1f} looks")
            print("   ", ", ".join(f"{name} {cost:.0f}" for name, cost in parts.most_common() if cost >= 1))
            print("   ", ", ".join(f"{name} {count:.2f}" for name, count in sorted(called.items())
                                   if SYSTEM_CALLS.match(name) and count >= 0.01))
            for (path, name, _), cost in sorted(functions.items(), key=lambda item: -item[1])[:more]:
                print(f"        {cost:7.0f}  {name} ({os.path.basename(path)})")


if __name__ == "__main__":
    main()
