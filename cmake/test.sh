#!/bin/sh
# Installs what is missing, builds the tests and runs the label `fast`. Can be run again, from any
# directory. With --ci also: the sanitizer builds, clang's thread-safety analysis, clang-tidy.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

ci=false
for word in "$@"; do
  case $word in
    --ci) ci=true ;;
    *) echo "usage: sh cmake/test.sh [--ci]"; exit 2 ;;
  esac
done

packages="g++ cmake ninja-build libtbb-dev libxsimd-dev libbz2-dev libgtest-dev libgmock-dev
  librapidcheck-dev libbenchmark-dev libcli11-dev pkg-config python3"
if $ci; then packages="$packages clang clang-tidy doxygen"; fi
# shellcheck disable=SC2086
sh cmake/packages.sh $packages

step() {
  echo
  echo "== $1"
  shift
  "$@"
}

# configure_and_build PRESET: quiet unless something fails.
configure_and_build() {
  mkdir -p "build/$1"
  if ! { cmake --preset "$1" && cmake --build --preset "$1"; } >"build/$1/build.log" 2>&1 \
    </dev/null; then
    tail -n 60 "build/$1/build.log"
    echo "the build '$1' failed; all of it is in build/$1/build.log"
    exit 1
  fi
  grep -A 12 'what is on, and why not' "build/$1/build.log" || true
}

if $ci; then
  step "thread-safety analysis (clang)" sh cmake/clang.sh
  step "build under AddressSanitizer and UndefinedBehaviorSanitizer" configure_and_build asan
  step "test under AddressSanitizer and UndefinedBehaviorSanitizer" ctest --preset asan -j"$(nproc)"
  step "build under ThreadSanitizer" configure_and_build tsan
  step "test under ThreadSanitizer" ctest --preset tsan -j"$(nproc)"
  step "API pages" configure_and_build docs
fi
step "build" configure_and_build dev
step "test" ctest --preset dev -j"$(nproc)"
