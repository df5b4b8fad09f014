#!/bin/sh
# Installs what is missing, builds the example risk_desk and runs it on real market data. Builds no
# tests and no benchmarks. Can be run again, from any directory. Arguments go to risk_desk.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$root/build/demo

sh "$root/cmake/packages.sh" g++ cmake ninja-build libtbb-dev libxsimd-dev libbz2-dev

# The closing prices of 452 stocks over 1258 days: a file of the Debian package r-cran-huge, which
# is unpacked here and never installed.
data=$build/stockdata.rda
want=$(cut -d' ' -f1 "$root/examples/risk_desk/stockdata.sha256")

data_is_good() {
  [ -f "$data" ] && [ "$(sha256sum "$data" | cut -d' ' -f1)" = "$want" ]
}

download() {
  rm -f "$build"/fetch/*.deb
  (cd "$build/fetch" && apt-get -q download r-cran-huge) >"$build/fetch/log" 2>&1 </dev/null
}

update() {
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || return 1
    as_root=sudo
  fi
  echo "data: updating the package lists"
  $as_root apt-get -q -o DPkg::Lock::Timeout=300 update >"$build/fetch/log" 2>&1 </dev/null
}

fetch() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
  mkdir -p "$build/fetch"
  echo "data: fetching the package r-cran-huge (unpacked, not installed)"
  download || { update && download; } || return 1
  for package in "$build"/fetch/r-cran-huge_*.deb; do
    dpkg-deb -x "$package" "$build/fetch/unpacked" || return 1
  done
  cp "$build/fetch/unpacked/usr/lib/R/site-library/huge/data/stockdata.rda" "$data" || return 1
}

mkdir -p "$build"
if data_is_good || { fetch && data_is_good; }; then
  echo "data: $data has the expected SHA-256"
  set -- --data "$data" "$@"
else
  echo "data: stockdata.rda could not be fetched, or its SHA-256 is not $want;"
  echo "data: running on a seeded random walk of the same shape"
fi

echo "build: $build"
log=$build/build.log
if ! { cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSHEAF_BUILD_TESTS=OFF \
         -DSHEAF_BUILD_BENCHMARKS=OFF -DSHEAF_BUILD_CLI=OFF -DSHEAF_BUILD_EXAMPLES=ON &&
       cmake --build "$build" --target risk_desk; } >"$log" 2>&1 </dev/null; then
  tail -n 40 "$log"
  echo "build: failed; all of it is in $log"
  exit 1
fi
exec "$build/examples/risk_desk/risk_desk" "$@"
