#!/bin/sh
# One seed is one run: two processes give the same hash of all that happened, another seed another.
# Argument: fractos-sim.
set -eu
hashes() { "$1" --seed "$2" --seeds 2 --steps 4000 --hash --no-minimise | grep hash; }
a=$(hashes "$1" 7)
[ "$(printf '%s\n' "$a" | wc -l)" = 2 ] || { echo "no hashes: $a" >&2; exit 1; }
[ "$a" = "$(hashes "$1" 7)" ] || { echo "one seed, two runs" >&2; exit 1; }
[ "$a" != "$(hashes "$1" 9)" ] || { echo "every seed is the same run" >&2; exit 1; }
# The trace too, line by line.
trace() { "$1" --seed 7 --seeds 1 --steps 500 --verbose --no-minimise | grep -v 'events/s' | cksum; }
[ "$(trace "$1")" = "$(trace "$1")" ] || { echo "one seed, two traces" >&2; exit 1; }
