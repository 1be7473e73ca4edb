#!/usr/bin/env python3
"""What a cluster costs while nothing is asked of it: memory and CPU time of all its processes, after
the job has run once. CPU time is the processes' own, not the clock's, so that other load on the
machine does not count; it can only make a window worse, hence the best of a few."""
import glob
import time
import unittest

from cluster_test import SMALL, Clusters, contents, processes_of, run

MEMORY_MAX_MB = 300
IDLE_MAX_PERCENT = 1.0
WINDOW_S, WINDOWS = 5, 4


def memory_mb(pids):
    """Proportional: pages that several processes share are counted once in all."""
    total = 0
    for pid in pids:
        rows = contents(f"/proc/{pid}/smaps_rollup").decode().splitlines()
        total += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total * 1024 / 1e6


def cpu_s(pids):
    """Seconds on a core, of all threads: utime + stime, but in nanoseconds instead of ticks, which
    are too coarse for nine processes that hardly run."""
    tasks = [task for pid in pids for task in glob.glob(f"/proc/{pid}/task/[0-9]*")]
    return sum(int(contents(task + "/schedstat").split()[0]) for task in tasks) / 1e9


class Cost(Clusters):
    def test_warm_and_idle(self):
        name = self.up()
        result = run("run", "--cluster", name, *SMALL, "--once")
        self.assertEqual(result.returncode, 0, result.stderr)
        pids = processes_of(name)
        self.assertGreaterEqual(len(pids), 9, "the supervisor and eight programs")
        used = memory_mb(pids)
        print(f"memory of {len(pids)} processes: {used:.1f} MB")
        self.assertLess(used, MEMORY_MAX_MB)
        self.assertGreater(used, 10, "the memory of these processes cannot be read")
        self.assertLess(min(self.windows(pids)), IDLE_MAX_PERCENT)
        self.assertEqual(processes_of(name), pids, "a process ended or was started meanwhile")

    def windows(self, pids):
        """Percent of one core in one window after the other, until one is good enough."""
        for _ in range(WINDOWS):
            before, begin = cpu_s(pids), time.monotonic()
            time.sleep(WINDOW_S)
            percent = (cpu_s(pids) - before) / (time.monotonic() - begin) * 100
            print(f"idle: {percent:.2f} % of a core")
            yield percent
            if percent < IDLE_MAX_PERCENT:
                return


if __name__ == "__main__":
    unittest.main(verbosity=2)
