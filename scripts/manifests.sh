#!/usr/bin/env bash
# Writes what the chart renders with default values to deploy/, without what only a Helm release has. Not from here:
# deploy/crds.yaml comes from scripts/chart.py, and deploy/namespace.yaml is written by hand, since Helm makes its own.
set -euo pipefail
cd "$(dirname "$0")/.."

helm=$(.venv/bin/python -m scripts.helm)
render() {
    echo "# Made by \`make manifests\` from charts/modelfetch; do not edit."
    for template in "$@"; do
        "$helm" template modelfetch charts/modelfetch --namespace modelfetch-system --show-only "templates/$template"
    done | sed -E '/^# Source: /d; /^$/d; /^ *(helm\.sh\/|app\.kubernetes\.io\/managed-by: Helm)/d'
}
render serviceaccount.yaml rbac.yaml >deploy/rbac.yaml
render operator.yaml >deploy/operator.yaml
