#!/usr/bin/env bash
# Installs what a real node is made of (make e2e, make test), where something is missing, this runs as root and apt is
# there. Else nothing is done: its tests then say what is missing.
set -euo pipefail

packages=(containerd runc containernetworking-plugins buildah debootstrap busybox-static iproute2)
is_complete() {
    local program
    for program in containerd runc buildah debootstrap busybox ip /usr/lib/cni/bridge; do
        command -v "$program" >/dev/null || return 1
    done
}
if is_complete || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    exit 0
fi
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "${packages[@]}" >/dev/null 2>&1
}
echo "node-tools: installing ${packages[*]}"
# A fresh machine has no list of packages yet.
install || { apt-get update --quiet=2 >/dev/null 2>&1 && install; } || echo "node-tools: apt cannot install them here"
