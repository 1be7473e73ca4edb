#!/usr/bin/env bash
# Holds the pages to the library: every call that it offers has a page that names it and shows how it
# is declared, every page is of a call that there is, links lead somewhere, and `man` has nothing to
# complain about.
#   man_test.sh LIBRARY FOLDER
set -u
library=$(realpath "$1")
cd "$2" || exit 1
bad=0
complain() { echo "$*"; bad=1; }

calls=$(nm -D --defined-only "$library" | awk '$2 == "T" {sub(/@.*/, "", $3); print $3}' | grep '^fos_')
[ "$(wc -w <<<"$calls")" -gt 50 ] || complain "the calls of $library cannot be read"
for call in $calls; do
  [ -f "$call.3" ] || { complain "$call has no page"; continue; }
  page=$call.3
  read -r first link <"$page"
  [ "$first" = .so ] && page=${link#man3/}
  [ -f "$page" ] || { complain "$call.3 leads to $link, which is not there"; continue; }
  grep -A1 '^\.SH NAME' "$page" | grep -qw "$call" || complain "$page does not name $call"
  grep -q "^\.B .*\b$call(" "$page" || complain "$page does not show how $call is declared"
done
for page in fos_*.3; do
  grep -qx "${page%.3}" <<<"$calls" || complain "$page is of no call"
done
for page in *.[1-8]; do
  grep -q '^\.so ' "$page" && continue
  said=$(LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
  [ -z "$said" ] || complain "$page: $said"
  for other in $(sed -nE 's/^\.BR (fos_[a-z_]+) \(3\).*/\1/p' "$page"); do
    [ -f "$other.3" ] || complain "$page refers to $other, which has no page"
  done
done
exit $bad
