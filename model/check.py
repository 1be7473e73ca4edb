#!/usr/bin/env python3
"""Checks the models of this folder with Spin: each as it is must hold, and each of its broken variants
must be caught. Usage: check.py MODEL [--all]; MODEL is a .pml's name without the ending, --all adds the
sizes that take minutes. Every search is exhaustive (no bitstate hashing), with compressed states."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MB = 1000  # of one search; a search that needs more fails

# What must hold: options, and what the size stands for.
HOLDS = {
    "tracked": [
        ("SENDS=3 NODES=4", "four Controllers, three values on the way"),
        ("SENDS=4 NODES=3", "three Controllers, four values"),
        ("SENDS=2 NODES=4 CHILDREN=1 USES=1", "with a child of the child"),
        ("SENDS=2 NODES=4 ENDS=1 USES=1 REVOKES=1", "revoked; a session ends and another begins"),
        ("SENDS=2 NODES=3 ENDS=1 USES=1 CHILDREN=1", "a session ends over a child of the child"),
    ],
    "revoke": [
        ("REBOOTS=1 ENDS=1 DEATHS=1", "a reboot, a broken session, a dead Process, or none of them"),
    ],
    "barrelfish": [
        ("ASK_NOBODY", "revoke at the owner"),
        ("COUNT_HOLDERS", "holders counted before the sender hears"),
    ],
}

# Minutes, gigabytes: what a longer look adds.
ALSO = {
    "tracked": [("SENDS=4 NODES=4", "four and four"), ("SENDS=3 NODES=4 ENDS=1", "three values, a session ends"),
                ("SENDS=3 NODES=3 ENDS=2 USES=1", "two sessions end")],
    "revoke": [("REBOOTS=1 ENDS=2 DEATHS=1", "two sessions break"), ("REBOOTS=2 ENDS=1 DEATHS=1", "two reboots"),
               ("REBOOTS=1 ENDS=1 DEATHS=2 INVOKES=3", "two deaths, three invocations")],
    "barrelfish": [],
}

# What must be caught: options, and a part of the claim that Spin finds broken.
CAUGHT = {
    "tracked": [
        ("SENDS=2 NODES=3 FORGET_TRANSIT", "ends>0"),
        ("SENDS=2 NODES=3 PASSED_EARLY", "ends>0"),
        ("SENDS=3 NODES=3 IGNORE_NUMBER", "ends>0"),
        ("SENDS=3 NODES=3 OWNER_UNNUMBERED", "ends>0"),
        ("SENDS=3 NODES=4 RELEASE_EARLY", "ends>0"),
        ("SENDS=3 NODES=3 CHILDREN=1 LENT_FORGETS", "ends>0"),
        ("SENDS=2 NODES=3 NONE_ONCE", "completions==1"),
        ("SENDS=1 NODES=3 RELEASE_FORGOTTEN", "completions==1"),
        ("SENDS=1 NODES=3 FIRES_AGAIN", "completions"),
        ("SENDS=2 NODES=3 USES=1 USES_FORGOTTEN", "fired"),
        ("SENDS=2 NODES=3 ENDS=1 USES=1 UNHELD_BEFORE_DEAD", "unheld"),
        ("SENDS=2 NODES=3 USES=1 REVOKES=1 DONE_BEFORE_DEAD", "closed"),
        ("SENDS=2 NODES=3 ENDS=1 OLD_SESSION", "transit"),
    ],
    "revoke": [
        ("REBOOTS=1 ENDS=0 DEATHS=0 NO_EPOCH", "id==entry_id"),
        ("REBOOTS=0 ENDS=0 DEATHS=0 NO_SERIAL", "id==entry_id"),
        ("REBOOTS=0 ENDS=0 DEATHS=0 ANSWER_BEFORE_DEAD", "revoke_said_ok"),
        ("REBOOTS=0 ENDS=0 DEATHS=0 DRAIN_DOES_NOT_WAIT", "violated 0"),
        ("REBOOTS=0 ENDS=0 DEATHS=1 DRAIN_FORGETS_REMAINS", "violated 0"),
        ("REBOOTS=0 ENDS=0 DEATHS=1 GONE_OVERTAKES", "process==1"),
        ("REBOOTS=1 ENDS=0 DEATHS=0 HELLO_KEEPS_THE_OLD", "revoke_calls==revoke_ends"),
        ("REBOOTS=0 ENDS=1 DEATHS=0 OLD_SESSION", "revoke_calls==revoke_ends"),
    ],
    "barrelfish": [("ASK_HOLDERS", "over"), ("COUNT_ON_SIGHT", "over")],
}


def search(model, options, quick, folder):
    """One search; returns what pan printed."""
    defines = [f"-D{option}" for option in options.split()]
    subprocess.run(["spin", "-a", *defines, f"{HERE}/{model}.pml"], cwd=folder, check=True, stdout=subprocess.PIPE)
    # -DSAFETY: assertions and ends. -DCOLLAPSE: each state stored in parts that others share.
    subprocess.run([os.environ.get("CC", "cc"), "-O0" if quick else "-O2", "-w", "-DSAFETY", "-DCOLLAPSE",
                    f"-DMEMLIM={MEMORY_MB if quick is not None else 8000}", "-o", "pan", "pan.c"],
                   cwd=folder, check=True)
    # -w: slots of the hash table, a power of two; it is the only memory taken before it is needed.
    return subprocess.run(["./pan", "-m10000", "-w20"], cwd=folder, stdout=subprocess.PIPE, text=True).stdout


def judge(output, claim):
    """None, or what is wrong with a search's end. claim: what must be found broken; None: nothing."""
    errors = re.search(r"errors: (\d+)", output)
    if errors is None or "out of memory" in output or "max search depth too small" in output:
        return "the search did not end"
    if claim is None:
        return None if int(errors[1]) == 0 else "broken: " + "; ".join(re.findall(r"^pan:1: (.*)$", output, re.M))
    found = re.findall(r"^pan:1: (.*)$", output, re.M)
    if not found:
        return "not caught"
    return None if re.search(claim, found[0]) else f"caught for another reason: {found[0]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=HOLDS)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    model, bad = arguments.model, 0
    jobs = [(options, None, about, False) for options, about in HOLDS[model]]
    jobs += [(options, None, about, None) for options, about in ALSO[model] if arguments.all]
    jobs += [(options, claim, "must be caught", True) for options, claim in CAUGHT[model]]
    for options, claim, about, quick in jobs:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            output = search(model, options, quick, folder)
        wrong = judge(output, claim)
        states = re.search(r"([\d.e+]+) states, stored", output)
        print(f"{'ok  ' if wrong is None else 'FAIL'} {model} {options}: {about}; "
              f"{float(states[1]) if states else 0:.0f} states, {time.monotonic() - begin:.1f} s"
              + (f": {wrong}" if wrong else ""), flush=True)
        bad += wrong is not None
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
