#!/usr/bin/env python3
"""Checks reports of `fractos run --report FILE` against what the job promises: the fields, that all
modes verified and agree on the verdicts, and, where the kernel's interface counters were read, that
the gallery's bytes crossed the network as often as the mode says."""
import json
import os
import sys

PHOTO = 92 * 112
FIELDS = {"batch_p50_us", "batch_p99_us", "one_p50_us", "per_s", "net_bytes", "net_messages", "kernel_bytes"}
CROSSINGS = {"chain": 1, "fast_star": 1, "star2": 2, "star3": 3}


def check(path, kernel):
    report = json.load(open(path))
    for name in ("probes", "correct", "false_accept", "false_reject", "eer", "modes"):
        assert name in report, f"{name} is missing"
    assert report["probes"] > 0
    wrong = report["false_accept"] + report["false_reject"]
    assert report["correct"] + wrong == report["probes"], "verdicts and probes differ"
    assert 0 < report["eer"] < 0.5, f"equal error rate {report['eer']}"
    assert set(report["modes"]) == set(CROSSINGS), f"modes are {sorted(report['modes'])}"
    for mode, row in report["modes"].items():
        missing = FIELDS - set(row)
        assert not missing, f"{mode}: {missing} missing"
        for field in FIELDS - {"kernel_bytes"}:
            assert row[field] > 0, f"{mode}: {field} is {row[field]}"
        # A verification moves the gallery photo as often as the mode says, and the probe at least once.
        least = PHOTO * (CROSSINGS[mode] + 1)
        assert least <= row["net_bytes"] < least * 1.25, f"{mode}: {row['net_bytes']} bytes a verification"
        crossed = row["gallery_crossings"]
        assert abs(crossed / CROSSINGS[mode] - 1) <= 0.05, f"{mode}: the gallery crossed {crossed} times"
        if kernel:
            assert row["kernel_bytes"], f"{mode}: the kernel's counters are missing"
            assert least <= row["kernel_bytes"] < least * 1.25, f"{mode}: kernel {row['kernel_bytes']}"
    chain = report["modes"]["chain"]
    invokes = chain["batch_messages"]["invoke"]
    assert invokes == 2 * chain["pieces"], f"chain: {invokes} invocations for {chain['pieces']} pieces"
    print(f"{path}: as promised")


# The first report is of a cluster in namespaces where we are root: the kernel counted too.
for position, name in enumerate(sys.argv[1:]):
    check(name, position == 0 and os.geteuid() == 0)
