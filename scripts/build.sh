# shellcheck shell=bash
# Sourced by run and bench: build_product builds what they need in build/, in release mode, and
# build_peers who FractOS is compared with. Nothing goes to stdout, which is for results; progress is
# shown on a terminal, the compiler's words where it fails, and nothing when there is nothing to do.

build_product() { build_target product; }

build_peers() {
  grep -q '^build peers:' build/build.ninja || meson setup --reconfigure build -Dpeers=true >/dev/null
  build_target peers
}

build_target() {
  local target=$1 log; log=$(mktemp)
  if [ ! -f build/build.ninja ]; then
    echo "building ..." >&2
    meson setup build --buildtype=release >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; return 1; }
  fi
  if [ -t 2 ] && ! ninja -C build -n "$target" 2>/dev/null | grep -q 'no work to do'; then
    ninja -C build "$target" >&2 || { rm -f "$log"; return 1; }
  else
    ninja -C build "$target" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; return 1; }
  fi
  rm -f "$log"
}
