# Sourced by run, check and bench: makes sure that Debian's packages are there. need PACKAGE...
# installs those that are missing, with sudo where we are not root, and says so.

RUN_PACKAGES="build-essential meson ninja-build pkg-config iproute2 libfabric-dev liburing-dev libsqlite3-dev
  libsodium-dev libcmocka-dev uthash-dev libcjson-dev libinih-dev libturbojpeg0-dev libpng-dev
  ocl-icd-opencl-dev opencl-headers pocl-opencl-icd"
CHECK_PACKAGES="clang clang-format clang-tidy libclang-rt-14-dev valgrind python3 man-db util-linux spin
  nftables"
# Of ./bench peers and ./bench blk alone: who FractOS is compared with.
BENCH_PACKAGES="libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libcapnp-dev capnproto ucx-utils
  nbdkit libnbd-dev"

need() {
  local missing="" package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -z "$missing" ] && return 0
  echo "installing$missing" >&2
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "these packages are missing, and sudo is not there:$missing" >&2; return 1; }
    sudo=sudo
  fi
  local log; log=$(mktemp)
  # shellcheck disable=SC2086
  if ! { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2; rm -f "$log"
    return 1
  fi
  rm -f "$log"
}
