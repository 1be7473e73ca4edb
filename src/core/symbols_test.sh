#!/bin/sh
# Holds the core to what a pure state machine needs: its archive may leave undefined only what
# copies memory and strings, the codec, assertions and the status table. Argument: the archive.
# A sanitizer's own symbols do not count.
set -eu
defined=$(mktemp)
trap 'rm -f "$defined"' EXIT
nm --defined-only -g "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$defined"
[ -s "$defined" ] || { echo "no symbols in $1" >&2; exit 1; }
foreign=$(nm -u "$1" 2>/dev/null | awk 'NF == 2 { print $2 }' | sort -u |
	grep -vxF -f "$defined" |
	grep -vE '^(mem(cpy|move|set|cmp)|str(len|cmp|nlen)|wire_.*|base_.*|fos_status_.*)$' |
	grep -vE '^(_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__(asan|ubsan|tsan|gcov|llvm|sanitizer)_.*)$' ||
	true)
if [ -n "$foreign" ]; then
	echo "the core may not use:" >&2
	echo "$foreign" >&2
	exit 1
fi
