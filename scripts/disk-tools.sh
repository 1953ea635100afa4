#!/usr/bin/env bash
# Installs mkfs.xfs for the tests that cut the power of a disk, where it is missing, this runs as root and apt is there.
# Else nothing is done: those tests then say that they were skipped, and why.
set -euo pipefail

if command -v mkfs.xfs >/dev/null || [ -x /usr/sbin/mkfs.xfs ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    exit 0
fi
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends xfsprogs >/dev/null 2>&1
}
echo "disk-tools: installing xfsprogs"
# A fresh machine has no list of packages yet.
install || { apt-get update --quiet=2 >/dev/null 2>&1 && install; } || echo "disk-tools: apt cannot install xfsprogs here"
