#!/usr/bin/env bash
# Prints the path of the Python to build with: $PYTHON if set, else the first of python3, python3.14 … python3.11 that runs
# and is 3.11 to 3.14. A name on the path is not enough: version managers leave names there that do not run.
set -euo pipefail

for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
        "$name" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
echo "setup: no Python 3.11 to 3.14 found (looked for ${PYTHON:-python3, python3.14 … python3.11}): install one," \
    "or name it: make setup PYTHON=/path/to/python3" >&2
exit 1
