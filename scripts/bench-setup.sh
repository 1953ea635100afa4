#!/usr/bin/env bash
# Makes build/bench/venv hold what requirements/bench.txt names: the peers of the benchmarks and a profiler. As root on a
# Debian machine also installs the servers and peers that are programs (nginx with Lua, curl, aria2, rclone) and starts
# none of them. What cannot be installed is left out: the run names it as missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=build/bench/venv
inputs=$(sha256sum requirements/bench.txt)
if [ "$inputs" != "$(cat $venv/.setup 2>/dev/null)" ]; then
    uv=$(scripts/find-uv.sh)
    echo "bench: installing the peers into $venv"
    UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --clear --python .venv/bin/python "$venv"
    VIRTUAL_ENV=$PWD/$venv "$uv" pip sync --quiet --require-hashes requirements/bench.txt
    echo "$inputs" >$venv/.setup
fi

lua=/usr/lib/nginx/modules/ngx_http_lua_module.so
if command -v nginx aria2c rclone curl >/dev/null && [ -e $lua ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "bench: to compare with all peers install nginx-light libnginx-mod-http-lua curl aria2 rclone" >&2
    exit 0
fi
# RUNLEVEL=1 keeps the packages' scripts from starting a service.
export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light libnginx-mod-http-lua curl aria2 rclone; } \
    >build/bench/apt.log 2>&1 || echo "bench: some Debian packages could not be installed, see build/bench/apt.log" >&2
