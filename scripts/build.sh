# Sourced by run and bench: build_product builds what they need in build/, in release mode. Nothing
# goes to stdout, which is for results; progress is shown on a terminal, the compiler's words where
# it fails, and nothing when there is nothing to do.

build_product() {
  local log; log=$(mktemp)
  if [ ! -f build/build.ninja ]; then
    echo "building ..." >&2
    meson setup build --buildtype=release >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; return 1; }
  fi
  if [ -t 2 ] && ! ninja -C build -n product 2>/dev/null | grep -q 'no work to do'; then
    ninja -C build product >&2 || { rm -f "$log"; return 1; }
  else
    ninja -C build product >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; return 1; }
  fi
  rm -f "$log"
}
