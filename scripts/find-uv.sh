#!/usr/bin/env bash
# Prints the path of uv in the version that requirements/uv.txt pins: $UV if set, the one on the path if it is that version,
# else a copy in the user's cache folder, installed there once with its hash checked. Nothing outside that folder changes.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/uv.txt)
if [ -n "${UV:-}" ]; then
    echo "$UV"
    exit 0
fi
if [[ "$(uv --version 2>/dev/null)" =~ ^uv\ ${version//./\\.}( |$) ]]; then
    command -v uv
    exit 0
fi

cache=${MODELFETCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/modelfetch}
home=$cache/uv-$version
if [ ! -x "$home/bin/uv" ]; then
    echo "setup: fetching uv $version into $home" >&2
    mkdir -p "$cache"
    private=$(mktemp -d "$cache/uv-XXXXXX")
    trap 'rm -rf "$private"' EXIT
    if ! "$(scripts/find-python.sh)" -m venv "$private/env" >"$private/log" 2>&1; then
        cat "$private/log" >&2
        echo "setup: this Python cannot make virtual environments (on Debian: the package python3-venv)," \
            "or name a uv $version: make setup UV=/path/to/uv" >&2
        exit 1
    fi
    "$private/env/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: --requirement requirements/uv.txt >&2
    mkdir -p "$private/home/bin"
    cp "$private/env/bin/uv" "$private/home/bin/uv"
    # Two set-ups at once: the first rename wins, and both copies are the same file.
    mv -T "$private/home" "$home" 2>/dev/null || [ -x "$home/bin/uv" ]
fi
echo "$home/bin/uv"
