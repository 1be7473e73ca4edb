#!/usr/bin/env bash
# Runs the fuzzers for longer than ./check does: builds them, divides SECONDS among them, lets each
# run over its corpus, and reports executions, coverage and how much of the corpus is new. What a
# fuzzer finds lies in build-fuzz/found; the grown corpora in build-fuzz/corpus, for the next run.
#
#   scripts/fuzz.sh [--jobs N] [--keep] SECONDS [HARNESS...]
#
#   --jobs N   so many harnesses at a time; default: as many as there are cores
#   --keep     then put a small corpus that reaches the same edges into tests/corpus
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

usage() { sed -n '2,/^set/ s/^# \{0,1\}//p' "$0" | sed '$d'; exit 2; }
jobs=$(nproc) keep=false
while [ $# -gt 0 ]; do
  case "$1" in
    --jobs) jobs=${2:?}; shift ;;
    --keep) keep=true ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
seconds=${1:-}
[[ "$seconds" =~ ^[0-9]+$ ]] || usage
shift
wanted=("$@")
# shellcheck disable=SC2086
need $RUN_PACKAGES $CHECK_PACKAGES || exit 1

out=$PWD/build-fuzz
mkdir -p "$out"
[ -f "$out/build.ninja" ] || CC=clang meson setup "$out" -Dfuzz=true -Db_sanitize=address,undefined \
  -Db_lundef=false --buildtype=debugoptimized >"$out/setup.log" || { cat "$out/setup.log"; exit 1; }
ninja -C "$out" build.ninja >"$out/setup.log" || { cat "$out/setup.log"; exit 1; }
mapfile -t targets < <(ninja -C "$out" -t targets all | sed -n 's/^\(src[^:]*_fuzz\): .*/\1/p')
[ ${#targets[@]} -gt 0 ] || { echo "no harness is built"; exit 1; }
ninja -C "$out" "${targets[@]}" >"$out/build.log" || { tail -n 40 "$out/build.log"; exit 1; }

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
run() { # HARNESS: one, over both corpora
  local name; name=$(basename "$1")
  mkdir -p "$out/corpus/$name" "$out/found" "$out/logs"
  local corpora=("$out/corpus/$name")
  [ -d "tests/corpus/$name" ] && corpora+=("tests/corpus/$name")
  # Entropic scheduling takes more time than the inputs where one reaches thousands of edges.
  "$out/$1" -max_total_time="$each" -timeout=10 -rss_limit_mb=4096 -entropic=0 -print_final_stats=1 \
    -artifact_prefix="$out/found/$name-" "${corpora[@]}" >"$out/logs/$name.log" 2>&1
}
export -f run

chosen=()
for target in "${targets[@]}"; do
  name=$(basename "$target")
  if [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" $name "* || " ${wanted[*]} " == *" ${name%_fuzz} "* ]]; then
    chosen+=("$target")
  fi
done
[ ${#chosen[@]} -gt 0 ] || { echo "no such harness: ${wanted[*]}"; exit 2; }
rounds=$(((${#chosen[@]} + jobs - 1) / jobs))
each=$((seconds / rounds)) # of which 0 would be without end
[ "$each" -gt 0 ] || { echo "${#chosen[@]} harnesses, $jobs at a time, need $rounds seconds or more"; exit 2; }
export out each
echo "${#chosen[@]} harnesses, $jobs at a time, $each s each"
rc=0
printf '%s\n' "${chosen[@]}" | xargs -P "$jobs" -I{} bash -c 'run {}' || rc=1

printf '%-16s %12s %8s %8s %9s %10s  %s\n' harness executions a_second edges features new_inputs result
for target in "${chosen[@]}"; do
  name=$(basename "$target") log=$out/logs/$name.log
  executions=$(awk '/^stat::number_of_executed_units/ {print $2}' "$log")
  new=$(awk '/^stat::new_units_added/ {print $2}' "$log")
  last=$(grep -aE '^#[0-9]+.*cov: ' "$log" | tail -n 1)
  edges=$(sed -nE 's/.*cov: ([0-9]+).*/\1/p' <<<"$last") features=$(sed -nE 's/.*ft: ([0-9]+).*/\1/p' <<<"$last")
  result=nothing; grep -qaE '^SUMMARY|ERROR: libFuzzer' "$log" && result="FOUND: see $log"
  printf '%-16s %12s %8s %8s %9s %10s  %s\n' "$name" "${executions:--}" "$((${executions:-0} / each))" \
    "${edges:--}" "${features:--}" "${new:--}" "$result"
done

# Edges alone decide, and long inputs stay out: what is kept is to be read again at each check. The
# named ones are regressions, and stay.
shrink() {
  local name; name=$(basename "$1")
  local here=tests/corpus/$name small=$out/small/$name
  rm -rf "$small" "$small.in"; mkdir -p "$here" "$small" "$small.in"
  find "$out/corpus/$name" "$here" -type f -size -1400c -exec cp -n -t "$small.in" {} \;
  "$out/$1" -merge=1 -set_cover_merge=1 -use_counters=0 "$small" "$small.in" >"$out/logs/$name-merge.log" 2>&1 || return 1
  find "$here" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  find "$small" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -exec cp -t "$here" {} +
  rm -rf "$small" "$small.in"
  echo "kept $(find "$here" -type f | wc -l) inputs of $name, $(du -sb "$here" | cut -f1) bytes"
}
if $keep; then
  for target in "${chosen[@]}"; do shrink "$target" || rc=1; done
fi
exit $rc
