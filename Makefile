# `make help` lists everything. Nothing here but `make e2e` needs root, and nothing outside this folder and the user's cache
# and state folders changes. Only `make disk-tools` and `make node-tools`, parts of `make test`, install packages, where they
# run as root.

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
E2E := $(PY) -m modelfetch.devcluster.realnode $(PYTEST) tests/e2e
REPORTS := build/reports
# One more than there are processors, as disks and clocks are waited for; more than eight have nothing to share.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n + 1 : 8)))
ARGS ?=
export PYTHON UV UPGRADE BASE IMAGE BUILDER SOAK_SECONDS

.DEFAULT_GOAL := help

## Getting started

help: ## Show this list
	@sed -nE -e 's/^## (.*)/\n\1/p' -e 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' -e 's/^#= /  /p' $(MAKEFILE_LIST) \
		| expand -t 24

setup: ## Make .venv with the locked packages (repeated at once: nothing to do)
	@scripts/setup.sh

demo: setup ## Show the whole way on an embedded cluster: apply, watch, Ready, refusals
	@$(PY) -m modelfetch.devcluster demo $(if $(URI),--uri '$(URI)') $(ARGS)

up: setup ## Start an embedded cluster with the operator and print how to use it
	@$(PY) -m modelfetch.devcluster up $(ARGS)

down: setup ## Stop the embedded cluster and remove its files
	@$(PY) -m modelfetch.devcluster down $(ARGS)

## Checks

test: setup disk-tools ## Run everything that CI checks; the last lines count tests and explain skips
	@rm -rf $(REPORTS)
	@status=0; \
	$(MAKE) --no-print-directory --keep-going -j3 binaries tools lint-and-unit || status=1; \
	$(MAKE) --no-print-directory test-cluster || status=1; \
	$(MAKE) --no-print-directory test-node || status=1; \
	$(PY) -m scripts.tally $(REPORTS) unit cluster node || status=1; \
	exit $$status

test-unit: setup ## Run the tests that need no cluster
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "not cluster" --junitxml $(REPORTS)/unit.xml $(ARGS)

# The file that takes longest comes first, so that no worker is left with it at the end.
test-cluster: setup binaries tools ## Run the tests on an embedded cluster
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -m cluster --junitxml $(REPORTS)/cluster.xml \
		tests/cluster/test_outages.py tests/cluster $(ARGS)

test-node: setup tools node-tools ## Run the short ones of the tests on a real node, where there can be one (root)
	@$(E2E) -m "e2e and short" --junitxml $(REPORTS)/node.xml $(ARGS)

e2e: setup tools node-tools ## Run real Jobs on a real node of containerd, runc and kubelet (root; cold 10 minutes)
	@$(E2E) -m e2e --junitxml $(REPORTS)/e2e.xml $(ARGS)

kills: setup binaries ## Kill the operator before, at and after each write of every scenario (half an hour)
	@KILLS=$(or $(KILLS),all) $(PYTEST) tests/cluster/kill_points $(ARGS)

soak: setup disk-tools ## Run the store's random tests with ever new seeds, 15 minutes long
	@scripts/soak.sh

soak-operator: setup binaries ## Have 500 resources, people and troubles for ten minutes (SOAK_SECONDS for longer)
	@SOAK_RESOURCES=$(or $(SOAK_RESOURCES),500) SOAK_SECONDS=$(or $(SOAK_SECONDS),600) SOAK_EVERY_S=30 \
		$(PYTEST) tests/cluster/soak $(ARGS)

bench-operator: setup binaries ## Time the operator beside plain Kopf handlers on a real API server (half an hour)
	@$(PY) -m benchmarks.operator $(ARGS)

lint: setup ## Check style, types, import rules and the sentences of the tests
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet || { echo "lint: run make format"; exit 1; }
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo --cache-dir .cache/import-linter
	@.venv/bin/interrogate --quiet tests || .venv/bin/interrogate -vv tests

format: setup ## Format the source and fix what can be fixed
	@.venv/bin/ruff format --quiet
	@.venv/bin/ruff check --fix

verify: crds docs chart manifests ## Generate everything again and fail if the tree differs from the last commit
	@changed=$$(git status --porcelain); [ -z "$$changed" ] || { echo "$$changed"; echo "verify: commit these"; exit 1; }

bench: setup ## Time modelfetch beside its peers, at full size (an hour; installs the peers first)
	@scripts/bench-setup.sh
	@$(PY) -m benchmarks $(ARGS)

## Generated files

crds: setup ## Generate crds/ from the resource types, and its copies in the chart and deploy/
	@mkdir -p crds && $(PY) -m modelfetch.api.crds crds/ && $(PY) -m scripts.chart

docs: setup ## Generate the tables of docs/ from the resource types and the reasons
	@$(PY) -m modelfetch.api.docs docs/

chart: setup ## Generate the chart's copies of crds/ and the table of values in its README
	@$(PY) -m scripts.chart

manifests: setup chart tools ## Generate deploy/ from the chart
	@scripts/manifests.sh

binaries: setup ## Fetch or build the control plane's programs (cold: up to 15 minutes; then cached)
	@$(PY) -m modelfetch.devcluster binaries

tools: setup ## Build Helm for the tests of the chart, where there is none (cold: 3 minutes; then cached)
	@$(PY) -m scripts.helm

disk-tools: ## Install xfsprogs as root where apt is, for the tests that cut the power; else nothing
	@scripts/disk-tools.sh

node-tools: ## Install containerd, runc, buildah and the like as root where apt is, for a real node; else nothing
	@scripts/node-tools.sh

lock: ## Write requirements/ again from pyproject.toml
	@scripts/lock.sh

image: ## Build the container image with buildah, podman or docker
	@scripts/image.sh

clean: ## Remove .venv and everything else that can be made again
	@rm -rf .venv .cache .hypothesis build dist
	@find operator tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

## Variables
#= make demo URI=hf://org/name     fetch this model from the real hub instead of the built-in one
#= make test-unit ARGS="-k name"   pass arguments to pytest (also: demo, up, down, test-cluster)
#= make bench ARGS="B1 --rounds 3" choose scenarios, rounds and size: .venv/bin/python -m benchmarks --help
#= make soak SOAK_SECONDS=3600      run that long
#= make kills KILLS=record          write the list of the operator's writes anew, for review
#= make setup PYTHON=python3.13    build .venv with this Python (3.11 to 3.14)
#= make setup UV=/path/to/uv       use this uv instead of a copy in the cache folder
#= make lock UPGRADE=1             take the newest versions
#= make image BASE=… IMAGE=…       build on another base image (Python 3.11 to 3.14, pip, venv), under another name
#= MODELFETCH_CACHE=DIR            keep uv and the control plane's programs here (default: ~/.cache/modelfetch)

# Both run also where one fails, so that one run shows all there is to repair.
lint-and-unit:
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(MAKE) --no-print-directory test-unit || status=1; \
	exit $$status

.PHONY: help setup demo up down test test-node e2e kills soak soak-operator bench-operator test-unit test-cluster lint format verify bench crds docs chart manifests binaries tools disk-tools node-tools lock image clean lint-and-unit
