#!/usr/bin/env bash
# Proves that the simulator sees each bug that can be planted in the core: every one must be caught
# within a minute, each guarantee must have one, and without a plant the same build must pass. And that
# what is found is made short: a failure of hundreds of steps that needs two or three.
# Argument: fractos-sim-plants.
set -u
sim=$1 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$sim" --seeds 20 --no-minimise >"$work/none" || { echo "without a plant:"; cat "$work/none"; failed=1; }

list=$("$sim" --plant-list)
for g in $(seq 1 18); do
  grep -qE "[[:space:]]G$g([[:space:]]|$)" <<<"$list" || { echo "no plant breaks G$g"; failed=1; }
done
while read -r name _; do
  begin=$(date +%s%N)
  timeout 60 "$sim" --plant "$name" --minutes 1 --no-minimise >"$work/out" 2>/dev/null
  took=$((($(date +%s%N) - begin) / 1000000))
  why=$(sed -nE 's/^seed [0-9]+: violation: //p' "$work/out" | head -n 1)
  if [ -n "$why" ]; then
    printf '%-16s %6d ms  %s\n' "$name" "$took" "$why"
  else
    printf '%-16s NOT CAUGHT in %d ms\n' "$name" "$took"
    failed=1
  fi
done <<<"$list"

"$sim" --plant widen --seeds 16 --out "$work/short" >"$work/out" 2>/dev/null
steps=$(grep -c '^step ' "$work/short")
[ "$steps" -ge 1 ] && [ "$steps" -le 8 ] || { echo "widen: minimised to $steps steps"; failed=1; }
"$sim" --script "$work/short" >/dev/null && { echo "widen: what was minimised does not fail"; failed=1; }
exit $failed
