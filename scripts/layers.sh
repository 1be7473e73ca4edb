#!/usr/bin/env bash
# Holds the tree to its layers (docs/design.md, "The rooms"): which folder may include what. Prints
# each include that breaks them; fails if there is one.
set -u
cd "$(dirname "$0")/.."

allowed() { # folder -> the folders whose headers it may include
  case "$1" in
    include/fractos) echo "fractos" ;;
    src/base) echo "fractos base" ;;
    src/wire) echo "fractos base wire" ;;
    src/core) echo "fractos base wire core" ;;
    src/net) echo "fractos base net" ;;
    src/controller) echo "fractos base wire core net controller" ;;
    src/client) echo "fractos base wire client" ;;
    src/sim) echo "fractos base wire core sim" ;;
    src/services/*|src/apps/*|src/tools|examples) echo "fractos own" ;;
    src/bench) echo "fractos base wire own" ;; # measures bare rings beside ours
    src/bench/scale) echo "fractos base wire core bench own" ;; # a thousand Controllers in one process
    src/bench/peers) echo "own" ;; # knows nothing of FractOS
    *) echo none ;;
  esac
}

bad=0
while IFS= read -r file; do
  case "$file" in *_test.c|*_fuzz.c|*/fuzz.[ch]|*/stand_in.[ch]|*harness.[ch]|*/launch.[ch]|*/worker.[ch]|*/fake.[ch]) continue ;; esac # tests may look anywhere
  folder=$(dirname "$file")
  while [ "$folder" != . ] && ! case "$folder" in include/fractos|src/services/*/*|src/apps/*/*) false ;;
      src/*|examples|tests) true ;; *) false ;; esac; do
    case "$folder" in include/fractos) break ;; esac
    folder=$(dirname "$folder")
  done
  ok=$(allowed "$folder")
  [ "$ok" = none ] && { echo "$file is in a folder that has no layer: give it one here and in docs/design.md"; bad=1; continue; }
  while IFS= read -r include; do
    case "$include" in
      */*) head=${include%%/*} ;;
      *) head=own ;;
    esac
    [ "$head" = kernels ] && head=own
    case " $ok own " in
      *" $head "*) ;;
      *) echo "$file includes \"$include\": $folder may use only: $ok"; bad=1 ;;
    esac
  done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]+["<](fractos\/[^">]+)[">].*/\1/p; s/^[[:space:]]*#[[:space:]]*include[[:space:]]+"([^"]+)".*/\1/p' "$file" | sort -u)
done < <(find include src examples -name '*.[ch]' 2>/dev/null)

# The core is pure: of the C library it knows types, memory and strings, nothing that acts.
while IFS= read -r line; do
  echo "the core is pure, but: $line"; bad=1
done < <(find src/core -name '*.[ch]' ! -name '*_test.c' ! -name '*_fuzz.c' ! -path '*/fuzz.*' ! -path '*harness*' ! -path '*/test*' -exec \
  grep -HnE '#include <' {} + | grep -vE '<(stdint|stddef|stdbool|string|limits|stdalign|fractos/[a-z]+)\.h>')
exit $bad
