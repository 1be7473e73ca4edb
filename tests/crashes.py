#!/usr/bin/env python3
"""Kills a program at its n-th system call, for each n of one run of the main job's chain.

    crashes.py [--all] [--samples N] [--seed N] [PROGRAM...]

FRACTOS and ACTOR name executables, FUSED the folder of the library with the fuse (tests/crash). The
client (faceverify), each service, and a Process that goes through the calls on capabilities (SCRIPT)
die in turn, at every call with --all, else at a few chosen by the
seed; every other time just before the Controller can see the call instead of just after. Each time:

  the job that ran ends, in bounded time, in whatever way;
  everything serves again by itself;
  the next job succeeds;
  the tables of all who lived, and of who was started again, hold what they hold after a run in which nobody
  died, no more and no less: per Process objects, slots, deliveries, parked invocations, copies, ONCE Requests,
  values, arenas, channels, descriptors; per Controller the bytes of its core's tables (children, registrations
  and monitors among them), Processes, descriptors, shared memory. Which of these may differ, and by how much,
  where a program was started again says MAY_DIFFER in stories.py."""
import argparse
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

import stories
from stories import Untrue, until

CLIENT = "fractos-faceverify"
VICTIM = "victim"  # an actor's name; it lives through SCRIPT on app
PROGRAMS = {VICTIM: None, CLIENT: None, "fractos-registry": "fs/registry", "fractos-fs": "fs/fs",
            "fractos-blk": "storage/blk", "fractos-gpu": "gpu/gpu"}
# Who does what: "!" does not wait for the end. The server is on storage, the holder on gpu.
SCRIPT = """
victim memory m 65536
victim request mine
victim find crash.echo echo
victim find crash.slow slow
victim find crash.holder inbox
victim call echo
victim revtree a echo tracked
!victim watch-held a
victim give inbox a
victim give inbox m
victim give inbox mine
victim revtree b a
!victim watch b
victim bind box mine a
victim call b
holder call a
!holder watch mine
!holder copy m m
victim revtree c slow
!victim call c 20000
victim drain c 20
victim copy m m
victim revoke b
victim close box
holder close a
victim revtree d echo tracked
victim give inbox d
victim revoke d
victim revoke m
server finish slow
victim drain c
victim null
"""
APART = 2.2  # seconds: the supervisor gives up what ends more than 5 times in 10 s
JOB = [*stories.SMALL, "--mode", "chain"]


class Fuse:
    """struct fuse of tests/crash/fuse.c."""
    LAYOUT = "=32sqQI4x"

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(4096)
            self.map = mmap.mmap(file.fileno(), 4096)

    def arm(self, program, left, before=False):
        struct.pack_into(self.LAYOUT, self.map, 0, b"", 0, 0, 0)
        struct.pack_into("=qQI", self.map, 32, left, 0, before)
        struct.pack_into("=32s", self.map, 0, program.encode())

    def read(self):
        _, left, calls, _ = struct.unpack_from(self.LAYOUT, self.map, 0)
        return left, calls


def run_job(cluster):
    """Its exit status; it must end within a time that has nothing to do with how."""
    try:
        return subprocess.run([stories.FRACTOS, "run", "--cluster", cluster.name, *JOB], capture_output=True,
                              text=True, timeout=30 * stories.STRETCH)
    except subprocess.TimeoutExpired:
        raise Untrue("the job hangs") from None


def run_script(cluster):
    """SCRIPT, until its end or the victim's; the others end as they should."""
    server, holder = stories.Actor(cluster, "server", "storage"), stories.Actor(cluster, "holder", "gpu")
    for actor, lines in (server, ("request echo", "publish echo crash.echo", "request slow hold",
                                  "publish slow crash.slow")), (holder, ("request inbox take",
                                                                        "publish inbox crash.holder")):
        for line in lines:
            actor.end(*actor.begin(line), stories.PATIENCE)
    try:
        actors = {"server": server, "holder": holder, VICTIM: stories.Actor(cluster, VICTIM, "app", cluster.victim)}
    except Untrue:
        actors = {}  # dead before its first line
    victim = actors.get(VICTIM)
    for line in filter(None, SCRIPT.splitlines()) if victim else []:
        who, _, command = line.lstrip("!").partition(" ")
        try:
            number, _ = actors[who].begin(command)
            until(lambda: line[0] == "!" or number in actors[who].ends or victim.process.poll() is not None,
                  stories.PATIENCE, line)
        except Untrue:
            if victim.process.poll() is None:
                raise
            break
    if victim:
        victim.hush()
        victim.process.wait(stories.PATIENCE)
    for actor in (server, holder):
        actor.leave()


def run(cluster, program):
    run_script(cluster) if program == VICTIM else run_job(cluster)


def strike(cluster, fuse, expected, program, index, early):
    """One death. False: the run made fewer calls than that."""
    if PROGRAMS[program]:
        time.sleep(max(0, cluster.struck + APART - time.monotonic()))
        cluster.struck = time.monotonic()
    fuse.arm(program, index, early)
    run(cluster, program)
    left, _ = fuse.read()
    if left > 0:
        fuse.arm("", 0)
        return False
    fuse.arm("", 0)
    until(cluster.all_serve, stories.START, "all serve")
    if program != VICTIM or index % 8 == 0:
        after = run_job(cluster)
        if after.returncode != 0:
            raise Untrue("the next job fails: " + (after.stdout + after.stderr)[-600:])
    if wrong := stories.until_equal(expected, cluster):
        raise Untrue(wrong)
    return True


def start(fuse_path, count):
    """A cluster with the fuse in all its programs."""
    os.environ["FRACTOS_FUSE"] = fuse_path
    os.environ["LD_LIBRARY_PATH"] = os.environ["FUSED"]
    cluster = stories.Cluster(f"crash-{os.getpid()}-{count}")
    cluster.struck = 0
    cluster.victim = f"{os.path.dirname(fuse_path)}/{VICTIM}"
    if not os.path.exists(cluster.victim):
        os.symlink(stories.ACTOR, cluster.victim)
    try:
        # So that who is started again is compared with somebody who was. fs before blk: the lease of its
        # last opening but one stays with fs until it opens once more.
        for place in filter(None, PROGRAMS.values()):
            cluster.run("restart", place, "--cluster", cluster.name)
            until(cluster.all_serve, stories.START, "all serve")
            cluster.run("run", "--cluster", cluster.name, *JOB)
    except BaseException:
        cluster.down()
        raise
    return cluster


def run_whole(cluster, fuse, program):
    """A run in which nobody dies: what all have then is expected after each death. Also its number of calls."""
    before = stories.tables_at_rest(cluster)
    fuse.arm(program, 1 << 40)
    run(cluster, program)
    _, calls = fuse.read()
    fuse.arm("", 0)
    if calls == 0:
        raise Untrue(f"{program} makes no calls, or not through the library with the fuse")
    if wrong := stories.until_equal(before, cluster):
        raise Untrue(f"a run of {program} in which nobody died: {wrong}")
    return stories.tables_at_rest(cluster), calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: needs root, for network namespaces")
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster goes down
    print(f"seed {arguments.seed}")
    chance, bad, deaths, clusters = random.Random(arguments.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        fuse = Fuse(f"{folder}/fuse")
        cluster = None
        try:
            for program in arguments.programs or PROGRAMS:
                if cluster is None:
                    cluster, clusters = start(f"{folder}/fuse", clusters), clusters + 1
                expected, calls = run_whole(cluster, fuse, program)
                indices = range(1, calls + 1) if arguments.all else sorted(
                    chance.sample(range(1, calls + 1), min(arguments.samples, calls)))
                died, wrong = 0, []
                for index in indices:
                    try:
                        if cluster is None:
                            cluster, clusters = start(f"{folder}/fuse", clusters), clusters + 1
                            expected, _ = run_whole(cluster, fuse, program)
                        died += strike(cluster, fuse, expected, program, index, index % 2 == 1)
                    except (Untrue, subprocess.SubprocessError, OSError) as error:
                        wrong.append(f"{program} killed at call {index} "
                                     f"({'before' if index % 2 else 'after'}): {error}")
                        print(f"      {wrong[-1]}", flush=True)
                        cluster.down()
                        cluster = None
                deaths, bad = deaths + died, bad + len(wrong)
                print(f"{'FAIL' if wrong else 'ok  '} {program}: {calls} calls in a run, killed at {died} of them, "
                      f"{len(wrong)} wrong", flush=True)
        finally:
            if cluster:
                cluster.down()
    print(f"{deaths} deaths, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
