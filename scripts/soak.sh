#!/usr/bin/env bash
# Runs the random tests of the store over and over, each round with another seed, for SOAK_SECONDS (15 minutes unless
# told otherwise). Ends at the first failure, with the seed that shows it again.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SOAK_SECONDS:-900}
round=0
until [ "$SECONDS" -ge "$seconds" ]; do
    round=$((round + 1))
    seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    repeat=(.venv/bin/python -m pytest -q -n auto --maxprocesses 8 "--hypothesis-seed=$seed"
        tests/crash/test_model.py tests/crash/test_sequences.py)
    echo "soak: round $round after $SECONDS of $seconds s, seed $seed"
    if ! "${repeat[@]}"; then
        echo "soak: repeat with ${repeat[*]}" >&2
        exit 1
    fi
done
echo "soak: $round rounds, nothing wrong"
