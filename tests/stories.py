#!/usr/bin/env python3
"""Runs stories: what a real cluster of namespaces does while its links are cut and its parts die.

    stories.py [--verbose] [STORY...]      FRACTOS and ACTOR name the executables

A story is a file of sentences, one a line, told in order. Each must come true within 5 s or within the
time it says, or the story fails there. Needs root, for network namespaces and nftables. FRACTOS_STRETCH=3
makes these times and the Controllers' failure timeout and heartbeat three times as long, for a busy machine.

    # text                                   of the reader; the first line is the title
    actor client on app                      a Process (tests/actor.c) attached to app's Controller
    client memory m 4096                     a command of the actor (see tests/actor.c): ends OK
    client call echo 3000 -> PEER_LOST or OUTCOME_UNKNOWN within 1500 ms
                                             ends with one of these statuses, and so fast
    client count r -> OK delivered 1 held 0  and with these words
    client count r becomes OK delivered 2    asked again until it does
    client call echo as first                begins, and the story goes on
    first -> OK within 500 ms                has ended like this, or does, so fast from now
    first still waits                        it has not ended
    cut app and storage                      both ways: packets are lost, silently
    cut app to storage                       only what app sends to storage
    heal                                     all links
    stop storage/fractosd                    SIGSTOP
    continue storage/fractosd                SIGCONT
    kill storage/blk                         SIGKILL; the cluster's supervisor starts it again
    kill client                              an actor
    restart storage/fractosd                 kill, and wait until everything serves again
    app sees storage up within 3000 ms       what the Controller of app says of its session
    app sees storage down                    (down)
    all serve                                all programs and all links
    wait 1500 ms                             time passes
    the job runs                             the main job, once, succeeds

After the last sentence everything is healed and the actors end. Then all is as before: every Controller and
service, also one that was started again, has as many objects, slots, deliveries, parked invocations, copies,
arenas, channels, bytes in its core's tables (where children, registrations and monitors are too), descriptors
and shared memory as it had, no more and no fewer. MAY_DIFFER says what need not be equal."""
import glob
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

FRACTOS = os.environ["FRACTOS"]
ACTOR = os.environ["ACTOR"]
HERE = os.path.dirname(os.path.abspath(__file__))
STRETCH = int(os.environ.get("FRACTOS_STRETCH", "1"))
PATIENCE = 5 * STRETCH
START = 20 * STRETCH  # programs start, connect and serve
SMALL = ["--identities", "8", "--probes", "8", "--batch", "8", "--once"]


class Untrue(Exception):
    """A sentence did not come true."""


def until(condition, seconds, what):
    """Waits for what other processes do; there is no event to be had from them."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Untrue(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


class Cluster:
    def __init__(self, name):
        self.name = name
        self.run("up", "--cluster", name, "--failure-timeout", str(1000 * STRETCH))
        try:
            with open(f"/run/fractos/{name}/cluster.conf") as file:
                self.address = dict(re.findall(r"\[node (\S+)\].*?address = (\S+)", file.read(), re.S))
            for node in self.address:
                self.exec(node, "nft", "-f", "-", input="table ip story { set cut { type ipv4_addr; }; chain in "
                          "{ type filter hook input priority 0; ip saddr @cut drop; }; }")
            self.warm()
        except BaseException:
            self.down()
            raise

    def warm(self):
        """What is kept for the next time, such as arenas and an exclusive opening, is there from now on."""
        until(self.all_serve, START, "all serve")
        self.run("run", "--cluster", self.name, *SMALL)
        self.run("restart", "storage/blk", "--cluster", self.name)
        self.run("run", "--cluster", self.name, *SMALL)
        until(self.all_serve, START, "all serve")
        self.tables = tables_at_rest(self)

    def settled(self):
        """Bytes in use by the core of each node, when they do not change any more."""
        def look():
            time.sleep(0.3)  # a Controller with nothing to do writes its tables with its heartbeats
            return {name: node["core_used"] for name, node in self.nodes().items() if node["serving"]}
        last = []

        def same():
            last.append(look())
            return len(last) > 1 and last[-1] == last[-2]
        until(same, START, "the cores' tables settle")
        return last[-1]

    def run(self, *arguments, timeout=120, input=None):
        done = subprocess.run([FRACTOS, *arguments], capture_output=True, text=True, timeout=timeout, input=input)
        if done.returncode != 0:
            raise Untrue(f"fractos {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def exec(self, node, *command, input=None):
        return self.run("exec", "--cluster", self.name, node, *command, input=input)

    def status(self, *options):
        # Its exit status says whether all is well; here that may not be so.
        done = subprocess.run([FRACTOS, "status", "--cluster", self.name, "--json", *options], capture_output=True,
                              text=True, timeout=30)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Untrue(f"fractos status: {done.stdout}{done.stderr}") from None

    def nodes(self):
        return {node["name"]: node for node in self.status("--passive")["nodes"]}

    def pid(self, program):
        for row in self.status("--passive")["programs"]:
            if f"{row['node']}/{row['name']}" == program and row["pid"]:
                return row["pid"]
        raise Untrue(f"{program} does not run")

    def sees(self, node, peer):
        row = self.nodes()[node]
        return row["serving"] and next((link["up"] for link in row["links"] if link["to"] == peer), False)

    def all_serve(self):
        status = self.status()
        return all(p["state"] == "serving" for p in status["programs"]) and all(
            node["serving"] and len(node["links"]) == len(status["nodes"]) - 1 and
            all(link["up"] for link in node["links"]) for node in status["nodes"])

    def cut(self, sender, receiver):
        """Dropped where it arrives, so that the sender cannot know."""
        self.exec(receiver, "nft", "add", "element", "ip", "story", "cut", "{", self.address[sender], "}")

    def heal(self):
        for node in self.address:
            self.exec(node, "nft", "flush", "set", "ip", "story", "cut")

    def down(self):
        subprocess.run([FRACTOS, "down", "--cluster", self.name], capture_output=True, timeout=60)


# ------------------------------------------------------------------ what may not be left behind

def descriptors(pid):
    """How many of each kind a process has: sockets, event and memory files, others by name."""
    kinds = {}
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            kind = re.sub(r"[:\[#].*|\(deleted\)", "", os.readlink(path)).strip()
        except OSError:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def mappings(pid):
    """Shared memory that is mapped: rings and arenas."""
    try:
        with open(f"/proc/{pid}/maps") as maps:
            return sum("/memfd:" in line for line in maps)
    except OSError:
        return 0


TABLES = ["objects", "slots", "deliveries", "parked", "copies", "once", "values_bytes", "arena_bytes", "channels"]
CORE = "bytes in the core's tables"
# What need not be equal where a program or a session was begun anew: by how much, and why.
MAY_DIFFER = {
    CORE: 128,  # of the core of whom a program was started anew, one small record more or less
}


def tables(cluster):
    """What everybody who lives has: {(pid, who): {what: how much}}."""
    found = {}
    for name, node in cluster.nodes().items():
        if not node["serving"]:
            continue
        own = {f"descriptors: {kind}": n for kind, n in descriptors(node["pid"]).items()}
        own |= {"mapped": mappings(node["pid"]), "Processes": len(node["processes"]), CORE: node["core_used"]}
        found[(node["pid"], f"{name}/fractosd")] = own
        for process in node["processes"]:
            row = {what: process[what] for what in TABLES if what in process}
            row |= {f"descriptors: {kind}": n for kind, n in descriptors(process["pid"]).items()}
            found[(process["pid"], f"{name}/{process['label']}")] = row
    return found


def tables_at_rest(cluster):
    """The same, when nothing changes any more."""
    last = []

    def same():
        cluster.settled()
        last.append(tables(cluster))
        return len(last) > 1 and last[-1] == last[-2]
    until(same, START, "everybody's tables settle")
    return last[-1]


def differences(expected, found):
    """What is not as expected, in words: who was started again is compared with who he was."""
    anew = {pid for pid, _ in expected} != {pid for pid, _ in found}
    expected, found = {who: rows for (_, who), rows in expected.items()}, {who: rows for (_, who), rows in found.items()}
    lines = [f"{who} has come and stayed" for who in found if who not in expected]
    lines += [f"{who} is not there" for who in expected if who not in found]
    for who in expected.keys() & found.keys():
        for what in sorted(expected[who].keys() | found[who].keys()):
            n, m = expected[who].get(what, 0), found[who].get(what, 0)
            if abs(m - n) > (MAY_DIFFER.get(what, 0) if anew else 0):
                lines.append(f"{who} has {m} {what}, not {n}")
    return lines


def until_equal(expected, cluster):
    """Waits until all is as expected: what dead Processes had is given back in its own time."""
    end = time.monotonic() + PATIENCE
    while (wrong := differences(expected, tables(cluster))) and time.monotonic() < end:
        time.sleep(0.05)
    return "not as before: " + "; ".join(wrong) if wrong else None


# ------------------------------------------------------------------ actors

class Actor:
    def __init__(self, cluster, name, node, program=ACTOR):
        self.name, self.node = name, node
        self.number = 0
        self.ends = {}
        self.arrived = threading.Condition()
        self.process = subprocess.Popen([FRACTOS, "exec", "--cluster", cluster.name, node, program, name],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.ready = False
        threading.Thread(target=self.listen, daemon=True).start()
        self.wait_for(lambda: self.ready or self.process.poll() is not None, PATIENCE, f"{name} is ready")
        if not self.ready:
            raise Untrue(f"{name} has ended")

    def listen(self):
        for line in self.process.stdout:
            words = line.split()
            with self.arrived:
                if words[:1] == ["ready"]:
                    self.ready = True
                elif words:
                    self.ends[int(words[0])] = (time.monotonic(), words[1], " ".join(words[2:]))
                self.arrived.notify_all()

    def wait_for(self, condition, seconds, what):
        with self.arrived:
            if not self.arrived.wait_for(condition, max(0, seconds)):
                raise Untrue(f"not within {seconds:g} s: {what}" +
                             ("" if self.process.poll() is None else f"; {self.name} has ended"))

    def begin(self, command):
        self.number += 1
        begun = time.monotonic()
        try:
            self.process.stdin.write(f"{self.number} {command}\n")
        except OSError:
            raise Untrue(f"{self.name} has ended") from None
        return self.number, begun

    def end(self, number, begun, seconds):
        self.wait_for(lambda: number in self.ends, begun + seconds - time.monotonic(), "it has no end")
        return self.ends[number]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def hush(self):
        """Ends its input; what it has not read yet may be lost with it."""
        try:
            self.process.stdin.close()
        except OSError:
            pass

    def leave(self):
        if self.process.poll() is None:
            self.hush()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Untrue(f"{self.name} did not end") from None
        if self.process.returncode not in (0, 3):  # 3: its Controller has ended
            raise Untrue(f"{self.name} ended with {self.process.returncode}")


# ------------------------------------------------------------------ sentences

class Story:
    def __init__(self, cluster, path, verbose):
        self.cluster, self.verbose = cluster, verbose
        with open(path) as file:
            self.lines = [line.rstrip("\n") for line in file]
        self.actors, self.begun, self.stopped = {}, {}, set()
        self.here = "before the first line"

    def expect(self, actor, number, begun, claim):
        """claim: what stands behind the arrow."""
        within = re.search(r"\s*within (\d+) ms$", claim or "")
        seconds = STRETCH * int(within[1]) / 1000 if within else PATIENCE
        claim = re.sub(r"\s*within \d+ ms$", "", claim or "") or "OK"
        at, status, more = actor.end(number, begun, seconds)
        said = f"{status} {more}".strip()
        allowed = [one.strip() for one in claim.split(" or ")]
        if not any(said == one or status == one or said.startswith(one + " ") for one in allowed):
            raise Untrue(f"{said}, after {at - begun:.3f} s")
        if self.verbose:
            print(f"      {said}, after {at - begun:.3f} s")

    def kill(self, who):
        if who in self.actors:
            self.actors.pop(who).kill()
        else:
            pid = self.cluster.pid(who)
            os.kill(pid, signal.SIGKILL)
            until(lambda: not os.path.exists(f"/proc/{pid}") or self.is_other(who, pid), PATIENCE, f"{who} ends")

    def is_other(self, program, pid):
        try:
            return self.cluster.pid(program) != pid
        except Untrue:
            return True

    def restart(self, program):
        self.kill(program)
        until(self.cluster.all_serve, START, "all serve")

    def freeze(self, program, how):
        os.kill(self.cluster.pid(program), how)
        (self.stopped.add if how == signal.SIGSTOP else self.stopped.discard)(program)

    def job(self):
        self.cluster.run("run", "--cluster", self.cluster.name, *SMALL)

    def sees(self, node, peer, state, within):
        seconds = STRETCH * int(within) / 1000 if within else PATIENCE
        until(lambda: self.cluster.sees(node, peer) == (state == "up"), seconds, f"{node} sees {peer} {state}")

    def act(self, line):
        SENTENCES = [
            (r"actor (\w+) on (\w+)", lambda name, node: self.actors.update(
                {name: Actor(self.cluster, name, node)})),
            (r"cut (\w+) and (\w+)", lambda a, b: (self.cluster.cut(a, b), self.cluster.cut(b, a))),
            (r"cut (\w+) to (\w+)", self.cluster.cut),
            (r"heal", self.cluster.heal),
            (r"stop (\w+/\w+)", lambda program: self.freeze(program, signal.SIGSTOP)),
            (r"continue (\w+/\w+)", lambda program: self.freeze(program, signal.SIGCONT)),
            (r"kill (\w+(?:/\w+)?)", self.kill),
            (r"restart (\w+/\w+)", self.restart),
            (r"(\w+) sees (\w+) (up|down)(?: within (\d+) ms)?", self.sees),
            (r"all serve", lambda: until(self.cluster.all_serve, START, "all serve")),
            (r"wait (\d+) ms", lambda ms: time.sleep(STRETCH * int(ms) / 1000)),
            (r"the job runs", self.job),
            (r"(\w+) still waits", self.still_waits),
            (r"(\w+) (.*?) becomes (.*)", self.becomes),
            (r"(\w+) -> (.*)", self.ends),
            (r"(\w+) (.*?) as (\w+)", self.begins),
            (r"(\w+) (.*?)(?: -> (.*))?", self.does),
        ]
        for pattern, told in SENTENCES:
            match = re.fullmatch(pattern, line)
            if match:
                told(*match.groups())
                return
        raise Untrue("nobody knows what this means")

    def actor(self, name):
        if name not in self.actors:
            raise Untrue(f"there is no actor {name}")
        return self.actors[name]

    def begins(self, name, command, label):
        self.begun[label] = (self.actor(name), *self.actor(name).begin(command))

    def does(self, name, command, claim):
        self.expect(self.actor(name), *self.actor(name).begin(command), claim)

    def becomes(self, name, command, claim):
        def asked():
            actor = self.actor(name)
            _, status, more = actor.end(*actor.begin(command), PATIENCE)
            return f"{status} {more} ".startswith(claim + " ")
        until(asked, PATIENCE, claim)

    def ends(self, label, claim):
        if label not in self.begun:
            raise Untrue(f"nothing began as {label}")
        actor, number, _ = self.begun.pop(label)
        self.expect(actor, number, time.monotonic(), claim)

    def still_waits(self, label):
        actor, number, _ = self.begun[label]
        actor.begin("null")  # its answer comes behind what has ended before
        actor.end(actor.number, time.monotonic(), PATIENCE)
        if number in actor.ends:
            raise Untrue(f"it has ended: {actor.ends[number][1:]}")

    def tell(self):
        for number, line in enumerate(self.lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            self.here = f"line {number}: {line}"
            if self.verbose:
                print(f"    {line}", flush=True)
            self.act(line)

    def end(self):
        """Everything as before, as far as the story itself has changed it."""
        for program in list(self.stopped):
            self.freeze(program, signal.SIGCONT)
        self.cluster.heal()
        for actor in self.actors.values():
            actor.leave()
        until(self.cluster.all_serve, START, "all serve")
        if {pid for pid, _ in tables(self.cluster)} != {pid for pid, _ in self.cluster.tables}:
            self.job()  # who was started again has what it keeps for the next time


def tell(path, cluster, verbose):
    """None, or what went wrong."""
    story = Story(cluster, path, verbose)
    try:
        story.tell()
        story.here = "at the end"
        story.end()
        return until_equal(cluster.tables, cluster)
    except (Untrue, subprocess.SubprocessError, OSError, KeyError) as error:
        for actor in story.actors.values():
            actor.kill()
        return f"{story.here}\n        {error}"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--verbose"]
    verbose = "--verbose" in sys.argv
    if os.geteuid() != 0:
        print("skipped: stories need root, for network namespaces and nftables")
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster goes down
    paths = arguments or sorted(glob.glob(f"{HERE}/stories/*.story"))
    bad, cluster = 0, None
    try:
        for count, path in enumerate(paths):
            if cluster is None:
                cluster = Cluster(f"story-{os.getpid()}-{count}")
            begin = time.monotonic()
            wrong = tell(path, cluster, verbose)
            title = open(path).readline().lstrip("# ").strip()
            print(f"{'FAIL' if wrong else 'ok  '} {os.path.basename(path)[:-6]}: {title} "
                  f"({time.monotonic() - begin:.1f} s)" + (f"\n        {wrong}" if wrong else ""), flush=True)
            if wrong:
                bad += 1
                cluster.down()
                cluster = None
    finally:
        if cluster:
            cluster.down()
    print(f"{len(paths) - bad} of {len(paths)} stories came true")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
