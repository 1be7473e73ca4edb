#!/bin/sh
# One seed is one run: two processes give the same hash of all that happened, another seed another.
# And the scripts of what was once wrong are told again without a violation.
# Arguments: fractos-sim, the folder of scripts.
set -eu
hashes() { "$1" --seed "$2" --seeds 2 --steps 4000 --hash --no-minimise | grep hash; }
a=$(hashes "$1" 7)
[ "$(printf '%s\n' "$a" | wc -l)" = 2 ] || { echo "no hashes: $a" >&2; exit 1; }
[ "$a" = "$(hashes "$1" 7)" ] || { echo "one seed, two runs" >&2; exit 1; }
[ "$a" != "$(hashes "$1" 9)" ] || { echo "every seed is the same run" >&2; exit 1; }
# The trace too, line by line.
trace() { "$1" --seed 7 --seeds 1 --steps 500 --verbose --no-minimise | grep -v 'events/s' | cksum; }
[ "$(trace "$1")" = "$(trace "$1")" ] || { echo "one seed, two traces" >&2; exit 1; }
# A random seed is told, and is one.
said=$("$1" --seed random --seeds 1 --steps 500 --hash --no-minimise)
seed=$(printf '%s\n' "$said" | sed -nE '1s/^seed ([0-9]+)$/\1/p')
[ -n "$seed" ] || { echo "a random seed is not told" >&2; exit 1; }
again=$("$1" --seed "$seed" --seeds 1 --steps 500 --hash --no-minimise | grep hash)
[ "$again" = "$(printf '%s\n' "$said" | grep hash)" ] || { echo "seed $seed, two runs" >&2; exit 1; }
# What is no number, or none that can be, is told and runs nothing.
for bad in "--steps x" "--steps 1e3" "--seed abc" "--seed -1" "--nodes 4294967297" "--nodes 0" "--jobs 0" "--minutes x" \
	"--minutes 0" "--seeds 9x" "--nodes 8 --processes 9" "10"; do
	# shellcheck disable=SC2086
	! said=$("$1" $bad --no-minimise 2>&1) || { echo "$bad is taken" >&2; exit 1; }
	case $said in *"seeds, "*) echo "$bad: $said" >&2; exit 1 ;; esac
done
count=0
for script in "$2"/*.script; do
	"$1" --script "$script" || { echo "$script: it is wrong again" >&2; exit 1; }
	count=$((count + 1))
done
[ "$count" -ge 3 ] || { echo "only $count scripts in $2" >&2; exit 1; }
