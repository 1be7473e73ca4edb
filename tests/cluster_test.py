#!/usr/bin/env python3
"""The `fractos` command and the main job as a user meets them: clusters of real processes, the bad
days, and that nothing is left behind. Run by `meson test`; FRACTOS names the command's executable.

Each test has clusters of its own, with names of its own, so that tests of several builds may run at
the same time. As root the clusters use network namespaces, else the loopback."""
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

FRACTOS = os.environ["FRACTOS"]
SMALL = ["--identities", "16", "--probes", "32", "--batch", "16"]
ROOT = os.geteuid() == 0
# The times that are promised are those of a calm machine; on a busy one everything takes longer.
STRETCH = float(os.environ.get("FRACTOS_STRETCH", "1"))
XDG = os.environ.get("XDG_RUNTIME_DIR")
RUNTIME = "/run/fractos" if ROOT else f"{XDG}/fractos" if XDG else f"/tmp/fractos-{os.geteuid()}"


def run(*arguments, timeout=120):
    return subprocess.run([FRACTOS, *arguments], capture_output=True, text=True, timeout=timeout * STRETCH)


def until(condition, seconds, what):
    """Waits for what another process does; there is no event to be had from it."""
    seconds *= STRETCH
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes_of(cluster):
    """Pids of all processes that name the cluster, its directory or its socket."""
    words = [f"\0{cluster}\0", f"/{cluster}/", f"fractos-{os.geteuid()}-{cluster}/"]
    found = set()
    for path in glob.glob("/proc/[0-9]*"):
        text = contents(path + "/cmdline") + contents(path + "/environ")
        if any(word.encode() in text for word in words):
            found.add(int(os.path.basename(path)))
    return found


def parent_of(pid):
    """0: it has ended."""
    found = re.search(rb"PPid:\s*(\d+)", contents(f"/proc/{pid}/status"))
    return int(found[1]) if found else 0


def children_of(pid, program):
    """Pids of a process's children that run the program."""
    found = []
    for path in glob.glob("/proc/[0-9]*/exe"):
        child = int(path.split("/")[2])
        try:
            if parent_of(child) == pid and os.path.basename(os.readlink(path)) == program:
                found.append(child)
        except OSError:
            pass
    return found


def namespaces_of(cluster):
    """The network namespaces, besides ours, in which processes of the cluster live."""
    found = set()
    for pid in processes_of(cluster):
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            pass
    return found - {os.readlink("/proc/self/ns/net")}


class EndedEarly(AssertionError):
    """The job was over before what was to be seen had happened."""


class Clusters(unittest.TestCase):
    serial = 0

    def setUp(self):
        self.clusters = []

    def tearDown(self):
        for name in self.clusters:
            run("down", "--cluster", name)
            until(lambda: not processes_of(name), 10, f"processes of {name} end")
            self.assertFalse(os.path.exists(f"{RUNTIME}/{name}"), "run-time files are left")
            self.assertEqual(glob.glob(f"/var/tmp/fractos-*-{name}"), [], "data is left")

    def name(self):
        Clusters.serial += 1
        name = f"test-{os.getpid()}-{Clusters.serial}"
        self.clusters.append(name)
        return name

    def up(self, *options):
        """A cluster that gives up no node that lives, however busy the machine is."""
        name = self.name()
        result = run("up", "--cluster", name, "--failure-timeout", str(int(500 * STRETCH) + 500), *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return name

    def status(self, name):
        result = run("status", "--cluster", name, "--json")
        return {node["name"]: node for node in json.loads(result.stdout)["nodes"]}

    def pid(self, name, node, label):
        row = self.status(name)[node]
        if label == "fractosd":
            return row["pid"]
        return next(p["pid"] for p in row["processes"] if p["label"] == label)

    def programs(self, name):
        """Each program's row of `fractos status`, by NODE/PROGRAM, and the exit status."""
        result = run("status", "--cluster", name, "--json")
        rows = json.loads(result.stdout)["programs"]
        return {f"{row['node']}/{row['name']}": row for row in rows}, result.returncode

    def job(self, name, *options):
        """Starts the job in the background and waits until it is verifying."""
        log = tempfile.TemporaryFile("w+")
        report = tempfile.NamedTemporaryFile()
        job = subprocess.Popen([FRACTOS, "run", "--cluster", name, "--mode", "chain", "--report", report.name,
                                *SMALL, *options], stdout=log, stderr=subprocess.STDOUT)
        job.log, job.report = log, report
        self.verifies(name, job)
        return job

    def verifies(self, name, job):
        """Waits until a number of batches more have reached the GPU, the job still being at work. (A
        Controller that was started again counts from zero.)"""
        base = None

        def more():
            nonlocal base
            if job.poll() is not None:
                job.log.seek(0)
                raise EndedEarly("the job ended too early: " + job.log.read())
            count = self.status(name)["gpu"].get("counters", {}).get("deliveries")
            if count is None:
                return False
            if base is None or count < base:
                base = count
            return count > base + 50

        until(more, 30, "the job verifies")

    def ended(self, job, timeout=60):
        code = job.wait(timeout * STRETCH)
        job.log.seek(0)
        text = job.log.read()
        job.log.close()
        try:
            report = json.loads(contents(job.report.name))
        except ValueError:
            report = None
        job.report.close()
        return code, text, report


class Command(Clusters):
    def test_explain(self):
        self.assertIn("OUTCOME_UNKNOWN", run("explain").stdout)
        self.assertIn("usage", run("explain", "--help").stdout)
        self.assertRegex(run("explain", "5").stdout, r"^RANGE \(5\)")
        self.assertEqual(run("explain", "fos_Range").stdout, run("explain", "5").stdout)
        for word in ("nonsense", "4711", "5x", "-1", "99999999999999999999"):
            self.assertEqual(run("explain", word).returncode, 1, word)

    def test_wrong_usage_is_told(self):
        for words in (["nonsense"], ["up", "--rate", "fast"], ["up", "--cluster", "A/b"], ["restart"],
                      ["run", "--batch", "0"], ["run", "--mode", "sideways"], ["run", "--nonsense"]):
            if words[0] == "run":
                words = [*words, "--cluster", self.name()]
            result = run(*words)
            self.assertNotEqual(result.returncode, 0, words)
            self.assertTrue(result.stderr.strip(), words)

    def test_options_with_a_value(self):
        """Behind a space or a "=", and never without one."""
        for words in (["run", "--rate"], ["run", "--rate=fast"], ["run", "--rate", "1001gbit"], ["up", "--rate=0mbit"]):
            result = run(*words)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("--rate takes 1gbit to 1000gbit, 1mbit to 1000mbit, or none", result.stderr)
        for words in (["up", "--failure-timeout", "49"], ["up", "--failure-timeout=-100"], ["up", "--failure-timeout=1s"]):
            result = run(*words)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("--failure-timeout takes milliseconds, 50 to 60000", result.stderr)
        for words in (["up", "--nodes", "3"], ["up", "--nodes=17"], ["up", "--nodes", "6x"]):
            result = run(*words)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("--nodes takes a number of nodes, 4 to 16", result.stderr)
        for words in (["run", "--cluster"], ["status", "--cluster"], ["up", "--cluster="], ["down", "--cluster=A/b"]):
            result = run(*words)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("--cluster takes a name", result.stderr)
        self.assertIn('no cluster "no-such"', run("status", "--cluster=no-such").stderr)
        if not ROOT:
            self.assertIn("--rate needs", run("run", f"--cluster={self.name()}", "--rate=10gbit").stderr)

    def test_complaints_begin_with_a_plain_name(self):
        for words in (["up", "--nonsense"], ["run", "--nonsense"], ["nonsense"], ["status", "--cluster", "none"]):
            self.assertRegex(run(*words).stderr, r"^fractos[a-z -]*: ", words)

    def test_the_job_s_options_are_checked_before_anything_starts(self):
        name = self.name()
        data = f"/var/tmp/fractos-{os.geteuid()}-{name}"
        os.mkdir(data, 0o777)
        os.chmod(data, 0o777)  # a cluster would be refused for this
        try:
            for words in (["--batch", "0"], ["--photos", "/nonexistent"], ["--report", "/nonexistent/report"],
                          ["--seed", "1"] * 80 + ["--nonsense"]):
                result = run("run", "--cluster", name, *words)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(words[-1].split("/report")[0], result.stderr)
                self.assertNotIn(data, result.stderr)
        finally:
            shutil.rmtree(data, ignore_errors=True)

    def test_status_of_no_cluster(self):
        result = run("status", "--cluster", "no-such")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no cluster", result.stderr)

    def test_no_controller_at_the_socket(self):
        bench = os.path.join(os.path.dirname(FRACTOS), "../apps/faceverify/fractos-faceverify")
        result = subprocess.run([bench], env={**os.environ, "FRACTOS_SOCKET": "/nonexistent/socket"},
                                capture_output=True, text=True, timeout=30 * STRETCH)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("/nonexistent/socket", result.stderr)


class Life(Clusters):
    def test_up_status_down(self):
        name = self.up()
        self.assertEqual(len(namespaces_of(name)), 4 if ROOT else 0)
        self.assertEqual(sorted(self.status(name)), ["app", "fs", "gpu", "storage"])
        # A link that was silent for too long, on a busy machine, comes up again.
        until(lambda: all(node["serving"] and all(link["up"] for link in node["links"])
                          for node in self.status(name).values()), 10, "all serve, all links are up")
        self.assertNotEqual(run("up", "--cluster", name).returncode, 0, "a second one of that name")
        self.assertEqual(run("down", "--cluster", name).returncode, 0)
        self.assertFalse(processes_of(name))

    def test_more_nodes(self):
        """They have a Controller, links to all others, and nothing else."""
        name = self.up("--nodes", "6")
        until(lambda: all([link["up"] for link in node["links"]] == [True] * 5 for node in self.status(name).values()),
              10, "all links are up")
        nodes = self.status(name)
        self.assertEqual(sorted(nodes), ["app", "fs", "gpu", "node5", "node6", "storage"])
        self.assertEqual(nodes["node6"]["processes"], [])
        self.assertEqual(self.programs(name)[0]["node6/fractosd"]["state"], "serving")
        self.assertEqual(run("restart", "--cluster", name, "node6/fractosd").returncode, 0)

    def test_loopback(self):
        name = self.up("--no-netns")
        result = run("run", "--cluster", name, *SMALL, "--once")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_two_clusters_at_once(self):
        jobs = [subprocess.Popen([FRACTOS, "run", "--cluster", self.name(), *SMALL, "--rounds", "10"],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
        for job in jobs:
            text, _ = job.communicate(timeout=120 * STRETCH)
            self.assertEqual(job.returncode, 0, text)

    def test_second_daemon_of_a_node_is_refused(self):
        name = self.up("--no-netns")
        daemon = os.path.join(os.path.dirname(FRACTOS), "../controller/fractosd")
        result = subprocess.run([daemon, "--cluster", f"{RUNTIME}/{name}/cluster.conf", "--node", "gpu"],
                                capture_output=True, text=True, timeout=30 * STRETCH)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r'"gpu" is already running')

    def test_interrupted_run_leaves_nothing(self):
        name = self.name()
        job = subprocess.Popen([FRACTOS, "run", "--cluster", name, *SMALL, "--seconds", "600"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        until(lambda: os.path.exists(f"{RUNTIME}/{name}/control"), 20, "the cluster begins")
        until(lambda: run("status", "--cluster", name).returncode == 0, 20, "the cluster is up")
        os.killpg(job.pid, signal.SIGINT)
        self.assertNotEqual(job.wait(30 * STRETCH), 0)

    def test_killed_run_takes_its_cluster_along(self):
        name = self.name()
        job = subprocess.Popen([FRACTOS, "run", "--cluster", name, *SMALL], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        until(lambda: os.path.exists(f"{RUNTIME}/{name}/control"), 20, "the cluster begins")
        job.kill()
        job.wait()
        until(lambda: not processes_of(name), 20, "the cluster ends by itself")
        until(lambda: not os.path.exists(f"{RUNTIME}/{name}"), 20, "its files are removed")

    def test_status_says_who_cannot_be_found(self):
        """A service that serves, but that the registry does not give out, is not said to serve."""
        name = self.up()
        self.assertEqual(self.programs(name)[1], 0)
        self.assertEqual(run("stop", "fs/registry", "--cluster", name).returncode, 0)
        rows, code = self.programs(name)
        self.assertEqual({row["name"] for row in rows.values() if row["state"] == "unlisted"}, {"blk", "fs", "gpu"})
        self.assertEqual(code, 1)
        result = run("status", "--cluster", name)
        self.assertIn("nobody finds it: asking the registry for it ends with TIMED_OUT", result.stdout)
        self.assertNotIn("process status", result.stdout)
        self.assertEqual(run("status", "--passive", "--cluster", name).returncode, 0)
        # Who does not answer keeps it for some seconds only.
        controller = self.pid(name, "fs", "fractosd")
        os.kill(controller, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            self.assertEqual(self.programs(name)[1], 1)
            self.assertLess(time.monotonic() - begun, 5 + 10 * STRETCH)
        finally:
            os.kill(controller, signal.SIGCONT)
        self.assertEqual(run("start", "fs/registry", "--cluster", name).returncode, 0)
        until(lambda: self.programs(name)[1] == 0, 30, "all are found")

    def test_killed_supervisor_takes_its_programs_along(self):
        name = self.up()
        blk = self.pid(name, "storage", "blk")
        supervisor = parent_of(blk)
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: not processes_of(name), 20, "the programs end")
        result = run("status", "--cluster", name)
        self.assertEqual(result.returncode, 1)
        self.assertIn("the supervisor", result.stderr)
        self.assertIn("removed", run("down", "--cluster", name).stdout)

    def test_without_root_nothing_is_left(self):
        """As an ordinary user: the directory of all clusters goes with the last one."""
        name = f"test-{os.getpid()}-user"
        with tempfile.TemporaryDirectory() as home:
            user = []
            if ROOT:
                os.chown(home, 65534, 65534)
                user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
                if subprocess.run([*user, "test", "-x", FRACTOS], check=False).returncode != 0:
                    self.skipTest("the build folder is for root alone")
            env = {**os.environ, "XDG_RUNTIME_DIR": home, "HOME": home}
            say = lambda *words: subprocess.run([*user, FRACTOS, *words, "--cluster", name], env=env, check=False,
                                                timeout=60 * STRETCH, capture_output=True, text=True)
            result = say("up")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(os.listdir(home + "/fractos"), [name])
            self.assertEqual(say("status").returncode, 0)
            self.assertEqual(say("down").returncode, 0)
            self.assertNotIn("fractos", os.listdir(home))
            if ROOT:  # no kernel was compiled
                subprocess.run([*user, "rmdir", "/var/tmp/fractos-65534/kernels", "/var/tmp/fractos-65534"],
                               stderr=subprocess.DEVNULL, check=False)

    def test_nothing_is_left_in_a_home(self):
        """Compiled kernels go to the project's own place, without what the compiler forgets there."""
        name = self.name()
        kernels = f"/var/tmp/fractos-{os.geteuid()}/kernels"
        with tempfile.TemporaryDirectory() as above:
            home = above + "/home"
            env = {key: value for key, value in os.environ.items() if not key.startswith(("POCL_", "XDG_CACHE"))}
            result = subprocess.run([FRACTOS, "run", "--cluster", name, *SMALL, "--once"], env={**env, "HOME": home},
                                    timeout=60 * STRETCH, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertEqual(os.listdir(above), [])
        found = os.listdir(kernels)
        self.assertTrue(found, "the kernels are kept")
        lock = os.open(kernels, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.assertEqual([file for file in os.listdir(kernels) if file.startswith("tempfile_")], [])
        except BlockingIOError:
            pass  # another cluster is up, and sweeps when it goes
        finally:
            os.close(lock)

    def test_a_hung_program_is_restarted(self):
        name = self.up("--no-netns")
        os.kill(self.pid(name, "gpu", "gpu"), signal.SIGSTOP)
        self.assertEqual(run("restart", "gpu/gpu", "--cluster", name, timeout=30).returncode, 0)
        self.assertEqual(run("stop", "gpu/gpu", "--cluster", name).returncode, 0)
        self.assertNotIn("gpu", [p["label"] for p in self.status(name)["gpu"]["processes"]])
        self.assertEqual(run("start", "gpu/gpu", "--cluster", name).returncode, 0)
        self.assertEqual(run("stop", "gpu/fractosd", "--cluster", name).returncode, 0)
        self.assertIn("gpu/fractosd is stopped", run("restart", "gpu/gpu", "--cluster", name).stderr)

    def test_who_says_nothing_holds_up_nobody(self):
        name = self.up("--no-netns")
        silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(40)]
        for one in silent:  # more than there are places
            one.connect(f"{RUNTIME}/{name}/control")
        self.assertEqual(self.programs(name)[1], 0)
        self.assertEqual(run("restart", "gpu/gpu", "--cluster", name).returncode, 0)
        for one in silent:
            one.close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as slow:
            slow.connect(f"{RUNTIME}/{name}/control")
            self.assertEqual(run("restart", "gpu/gpu", "--cluster", name).returncode, 0)
            slow.send(b"programs")
            self.assertTrue(slow.recv(4096).startswith(b"ok"))

    def kill_until_given_up(self, name, pid):
        """Kills blk again and again, each time as soon as it is there: six times within ten seconds are enough.
        Returns how often it took."""
        supervisor = parent_of(pid)
        end = time.monotonic() + 60 * STRETCH
        for kills in range(1, 1000):
            os.kill(pid, signal.SIGKILL)
            until(lambda: parent_of(pid) != supervisor, 20, "it has ended")
            if kills >= 6 and self.programs(name)[0]["storage/blk"]["state"] == "given-up":
                return kills
            self.assertLess(time.monotonic(), end, "it is not given up")
            until(lambda: children_of(supervisor, "fractos-blk"), 20, "it is started again")
            pid = children_of(supervisor, "fractos-blk")[0]
        return None

    def test_programs_that_do_not_serve_are_shown(self):
        name = self.up("--no-netns")
        programs, code = self.programs(name)
        self.assertEqual({row["state"] for row in programs.values()}, {"serving"})
        self.assertEqual((len(programs), code), (8, 0))
        run("stop", "gpu/gpu", "--cluster", name)
        programs, code = self.programs(name)
        self.assertEqual(programs["gpu/gpu"]["state"], "stopped")
        self.assertEqual(code, 0, "it was stopped on purpose")
        self.assertIn(f"`fractos start gpu/gpu --cluster {name}`", run("status", "--cluster", name).stdout)
        kills = self.kill_until_given_up(name, programs["storage/blk"]["pid"])
        programs, code = self.programs(name)
        row = programs["storage/blk"]
        self.assertEqual((row["state"], row["pid"], row["ends"], code), ("given-up", 0, kills, 1))
        self.assertIn("signal 9", row["last_end"])
        text = run("status", "--cluster", name).stdout
        self.assertIn(f"`fractos start storage/blk --cluster {name}`", text)
        self.assertEqual(run("start", "storage/blk", "--cluster", name).returncode, 0)
        self.assertEqual(self.programs(name)[1], 0)

    def test_a_directory_of_another_is_refused(self):
        name = self.name()
        data = f"/var/tmp/fractos-{os.geteuid()}-{name}"
        os.mkdir(data, 0o777)
        os.chmod(data, 0o777)
        with open(data + "/precious", "w") as out:
            out.write("not of a cluster")
        try:
            result = run("up", "--cluster", name)
            self.assertEqual(result.returncode, 1)
            self.assertIn(data, result.stderr)
            self.assertEqual(os.listdir(data), ["precious"], "what was refused was removed")
        finally:
            shutil.rmtree(data, ignore_errors=True)


class BadDays(Clusters):
    """Something dies in the middle of the job: every verification ends within 2 s, in a verdict or
    an error that names what died; the next batch works."""

    def die_once(self, node, label, seconds):
        name = self.up()
        job = self.job(name, "--seconds", str(seconds))
        os.kill(self.pid(name, node, label), signal.SIGKILL)
        self.verifies(name, job)
        return name, job

    def die(self, node, label, named, at_least=0):
        """Kills a Process or a Controller while the job verifies; batches come before and after. What
        ends without a verdict does so in time and names what died."""
        try:
            name, job = self.die_once(node, label, 8)
        except EndedEarly:  # a busy machine needs longer to bring back what was killed
            name, job = self.die_once(node, label, 60)
        code, text, report = self.ended(job, 120)
        self.assertEqual(code, 0, text)
        self.assertEqual(report["errors"], 0, "a verdict was missing in the end: " + text)
        without = re.findall(r"ended without a verdict after (\d+) ms: (.*)", text)
        self.assertGreaterEqual(len(without), at_least, text)
        for time_ms, words in without:
            self.assertLess(int(time_ms), 2000 * STRETCH, text)
            self.assertRegex(words, rf"\b({named})\b")
        self.assertEqual(self.programs(name)[0][f"{node}/{label}"]["ends"], 1)

    # The frontend holds Requests of fs and gpu, so their death is always seen. That of blk and the
    # registry it sees only if it comes just then: fs finds the next blk itself.

    def test_fs_killed(self):
        self.die("fs", "fs", "fs", at_least=1)

    def test_blk_killed(self):
        self.die("storage", "blk", "blk")

    def test_gpu_killed(self):
        self.die("gpu", "gpu", "gpu", at_least=1)

    def test_storage_controller_killed(self):
        self.die("storage", "fractosd", "storage|blk")

    def test_gpu_controller_killed(self):
        self.die("gpu", "fractosd", "gpu", at_least=1)

    def test_fs_controller_killed(self):
        self.die("fs", "fractosd", "fs", at_least=1)

    def test_registry_killed(self):
        self.die("fs", "registry", "registry")

    def stays_dead(self, node, label, named):
        """Nobody starts it again: each batch still ends in time, and the job soon, saying what is missing."""
        name = self.up("--no-respawn")
        job = self.job(name, "--seconds", "60")
        os.kill(self.pid(name, node, label), signal.SIGKILL)
        killed = time.monotonic()
        code, text, _ = self.ended(job)
        self.assertLess(time.monotonic() - killed, 15 * STRETCH, text)
        self.assertEqual(code, 1, text)
        without = re.findall(r"ended without a verdict after (\d+) ms: (.*)", text)
        self.assertGreater(len(without), 5, text)
        for time_ms, words in without:
            self.assertLess(int(time_ms), 2000 * STRETCH, text)
            self.assertRegex(words, rf"\b({named})\b")
        self.assertIn("given up", text)
        self.assertIn(f"`fractos start {node}/{label} --cluster {name}`", text)

    def test_fs_stays_dead(self):
        self.stays_dead("fs", "fs", "fractos start fs/fs")

    def test_gpu_stays_dead(self):
        self.stays_dead("gpu", "gpu", "fractos start gpu/gpu")

    def test_gpu_controller_stays_dead(self):
        self.stays_dead("gpu", "fractosd", "fractos start gpu/fractosd")

    def test_no_registry_is_said_at_once(self):
        name = self.up("--no-respawn")
        os.kill(self.pid(name, "fs", "registry"), signal.SIGKILL)
        until(lambda: self.programs(name)[0]["fs/registry"]["state"] == "dead", 10, "the registry is dead")
        begin = time.monotonic()
        result = run("run", "--cluster", name, *SMALL, "--once")
        self.assertLess(time.monotonic() - begin, 5 * STRETCH, result.stderr)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("(fractos start fs/registry)", result.stderr)
        self.assertNotIn("fractos start fs/fs", result.stderr)

    def ends_with(self, node, label, words):
        """Kills what the job itself stands on: it ends soon and says so, and the next one works."""
        name = self.up()
        job = self.job(name, "--seconds", "60")
        os.kill(self.pid(name, node, label), signal.SIGKILL)
        killed = time.monotonic()
        code, text, _ = self.ended(job)
        self.assertLess(time.monotonic() - killed, 2 * STRETCH, text)
        self.assertNotEqual(code, 0, text)
        self.assertRegex(text, words)
        self.assertNotIn("fractos start fs/fs", text)
        until(lambda: self.programs(name)[1] == 0, 20, "all serve again")
        result = run("run", "--cluster", name, *SMALL, "--once")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_frontend_killed(self):
        self.ends_with("app", "faceverify", "signal 9")

    def test_app_controller_killed(self):
        self.ends_with("app", "fractosd", "Controller of node app is gone: `fractos start app/fractosd`")

    def test_a_stopped_service_is_named_and_its_return_is_enough(self):
        name = self.up()
        self.assertEqual(run("stop", "gpu/gpu", "--cluster", name).returncode, 0)
        result = run("run", "--cluster", name, *SMALL, "--once")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"gpu/gpu is stopped (stopped by command): `fractos start gpu/gpu --cluster {name}`", result.stderr)
        self.assertEqual(run("start", "gpu/gpu", "--cluster", name).returncode, 0)
        result = run("run", "--cluster", name, *SMALL, "--once")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


class Examples(Clusters):
    def test_what_the_pages_say(self):
        """The commands of docs/write-a-service.md."""
        name = self.up()
        examples = os.path.join(os.path.dirname(FRACTOS), "../../examples")
        service = subprocess.Popen([FRACTOS, "exec", "--cluster", name, "fs", examples + "/count-service"],
                                   stdout=subprocess.PIPE, text=True)
        self.assertEqual(service.stdout.readline(), "ready\n")
        client = run("exec", "--cluster", name, "app", examples + "/count-client", "three small words")
        self.assertEqual((client.stdout, client.returncode), ("3\n", 0), client.stderr)
        hello = run("exec", "--cluster", name, "gpu", examples + "/hello")
        self.assertIn("attached to node gpu", hello.stdout)
        service.terminate()
        self.assertEqual(service.wait(10 * STRETCH), 0)
        service.stdout.close()


class Photos(Clusters):
    def make_photos(self, photos):
        for person in range(8):
            os.mkdir(f"{photos}/p{person}")
            for shot in range(4):
                # Stripes whose period is the identity, shifted a little in each photo.
                rows = [bytes((x * (person + 3) + y * (person % 3) + shot * 5) * 7 % 256 for x in range(100))
                        for y in range(120)]
                with open(f"{photos}/p{person}/{shot}.pgm", "wb") as out:
                    out.write(b"P5\n100 120\n255\n" + b"".join(rows))

    def test_bad_photos_are_named_and_the_others_verified(self):
        with tempfile.TemporaryDirectory() as photos:
            self.make_photos(photos)
            with open(f"{photos}/p1/3.pgm", "r+b") as out:
                out.truncate(1000)
            with open(f"{photos}/p2/3.jpg", "wb") as out:
                out.write(b"this is no photo")
            result = run("run", "--cluster", self.name(), "--photos", photos, "--once", "--batch", "8")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertIn("p1/3.pgm", result.stdout + result.stderr)
            self.assertIn("p2/3.jpg", result.stdout + result.stderr)

    def test_batches_without_a_photo_are_not_measured(self):
        """Most batches of one have no readable photo: they count neither as batches nor as pieces."""
        with tempfile.TemporaryDirectory() as photos, tempfile.NamedTemporaryFile() as report:
            self.make_photos(photos)
            for path in glob.glob(f"{photos}/*/[23].pgm") + glob.glob(f"{photos}/p[0-5]/1.pgm"):
                with open(path, "r+b") as out:
                    out.truncate(1000)
            result = run("run", "--cluster", self.name(), "--photos", photos, "--batch", "1", "--mode", "chain",
                         "--rounds", "48", "--seconds", "1", "--report", report.name)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            chain = json.loads(contents(report.name))["modes"]["chain"]
            self.assertEqual(chain["batches"], 4, "2 of 24 probes can be read")
            self.assertGreater(chain["batch_p50_us"], 10)
            self.assertEqual(chain["pieces"], 1)
            self.assertAlmostEqual(chain["control_messages"], 5, delta=0.1)

    def test_no_photos(self):
        result = run("run", "--cluster", self.name(), "--photos", "/nonexistent")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("/nonexistent", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
