#!/usr/bin/env bash
# Builds the image from Containerfile with buildah, podman or docker, whichever is there first, or BUILDER=….
# BASE=… takes another base image, IMAGE=… another name. pip inside the build uses this machine's pip.conf and bundle of
# certificates, both as secrets of the build: they are in no layer.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' operator/modelfetch/__init__.py)
image=${IMAGE:-ghcr.io/modelfetch/modelfetch:$version}
for builder in ${BUILDER:-buildah podman docker}; do
    command -v "$builder" >/dev/null && break
    builder=
done
if [ -z "$builder" ]; then
    echo "image: none of ${BUILDER:-buildah, podman, docker} is here: install one" >&2
    exit 1
fi

arguments=(--file Containerfile --tag "$image" --build-arg "VERSION=$version")
[ -z "${BASE:-}" ] || arguments+=(--build-arg "BASE=$BASE")
secret() { # id, candidates: the first file that is there
    local id=$1 file
    shift
    for file in "$@"; do
        if [ -s "$file" ]; then
            arguments+=(--secret "id=$id,src=$file")
            return
        fi
    done
}
secret pip.conf "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$HOME/.pip/pip.conf" /etc/pip.conf
secret ca "${PIP_CERT:-}" "${SSL_CERT_FILE:-}"

echo "image: building $image with $builder" >&2
case $builder in
    # Needs no user namespaces and no privileges beyond chroot.
    buildah) buildah build --isolation chroot "${arguments[@]}" . ;;
    *) "$builder" build "${arguments[@]}" . ;;
esac
echo "$image"
