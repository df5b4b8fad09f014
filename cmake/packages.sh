#!/bin/sh
# packages.sh PACKAGE...: installs the Debian or Ubuntu packages that are missing and says which.
# Uses sudo only where something has to be installed and the caller is not root. Where apt is
# missing it names the packages and stops.
set -eu

missing=
for package in "$@"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
missing=${missing# }

if [ -z "$missing" ]; then
  echo "packages: all $# are installed"
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "packages: this machine has no apt; install what these Debian packages hold, then run again:"
  echo "  $missing"
  exit 1
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "packages: neither root nor sudo; have someone run: apt-get install $missing"
    exit 1
  fi
  as_root=sudo
fi

echo "packages: installing $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" \
    >"$log" 2>&1 </dev/null
}
# An update that fails is not the end: the lists that are there may do.
apt update || echo "packages: apt-get update failed, going on with the lists that are there"
# Word splitting is wanted: one argument a package.
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $missing; then
  cat "$log"
  echo "packages: apt-get install failed"
  exit 1
fi
echo "packages: done"
