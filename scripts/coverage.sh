#!/usr/bin/env bash
# Which lines of the core and of the wire no test reaches: builds with gcc's coverage, runs the
# suites that are about them, prints lines per file and those that were not reached. Fails below
# the share that docs/testing.md promises.
#
#   scripts/coverage.sh [--quick] [--least PERCENT]     --quick: without the simulator
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
# shellcheck disable=SC2086
need $RUN_PACKAGES $CHECK_PACKAGES

suites=(core wire sim rights) least=95
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) suites=(core wire rights) ;;
    --least) least=$2; shift ;;
    *) sed -n '2,/^set/ s/^# \{0,1\}//p' "$0" | sed '$d'; exit 2 ;;
  esac
  shift
done

out=build-coverage
[ -f $out/build.ninja ] || CC=gcc meson setup $out -Db_coverage=true --buildtype=debug >$out.log || { cat $out.log; exit 1; }
rm -f $out.log
find $out -name '*.gcda' -delete

ninja -C $out build.ninja >$out/setup.log || { cat $out/setup.log; exit 1; }

# The targets of the suites' tests, and nothing else.
mapfile -t targets < <(meson introspect --tests $out | python3 -c '
import json, os, sys
wanted, out = sys.argv[2:], sys.argv[1]
for test in json.load(sys.stdin):
    if any(s.split(":")[-1] in wanted for s in test["suite"]):
        for part in test["cmd"]:
            if os.path.normpath(part).startswith(out + "/"):
                print(part[len(out) + 1:])
' "$PWD/$out" "${suites[@]}" | sort -u)
ninja -C $out "${targets[@]}" >$out/build.log || { tail -n 40 $out/build.log; exit 1; }
arguments=()
for suite in "${suites[@]}"; do arguments+=(--suite "$suite"); done
meson test -C $out --no-rebuild "${arguments[@]}" >$out/tests.log 2>&1 || { tail -n 60 $out/tests.log; exit 1; }
python3 scripts/coverage.py $out "$least"
