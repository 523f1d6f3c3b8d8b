# `make` alone says what there is. Every target does its own set-up and may be repeated.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin

.PHONY: help
help: ## what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## a cluster with the operator in it, devices, pods that use them, and what kubectl says
	@hack/demo.sh

.PHONY: test
test: ## all rungs; ends with one count
	@hack/test.sh

.PHONY: test-unit
test-unit: ## pure functions
	@hack/test.sh unit

.PHONY: test-contract
test-contract: ## the agent against a kubelet double
	@hack/test.sh contract

.PHONY: test-apiserver
test-apiserver: ## operator and agent against a real etcd and kube-apiserver
	@hack/test.sh apiserver

.PHONY: test-e2e
test-e2e: ## everything on kind: real kubelets, real devices
	@hack/test.sh e2e

.PHONY: test-chaos
test-chaos: ## ten minutes in which everything fails at once: CHAOS_SEED and CHAOS_SECONDS choose others
	@CHAOS_SEED="$${CHAOS_SEED:-$$RANDOM}" CHAOS_SECONDS="$${CHAOS_SECONDS:-600}" hack/test.sh e2e_chaos

.PHONY: test-hardware
test-hardware: ## recorded machines in the place of the kind cluster's nodes
	@hack/test.sh e2e_hardware

.PHONY: test-vm
test-vm: ## real drivers: a virtual machine as a fourth node of the kind cluster; what takes long there too
	@SLOW=true hack/test.sh e2e_vm

.PHONY: test-gpu
test-gpu: ## the agent against a real NVIDIA GPU, where there is one; not part of make test
	@hack/test.sh gpu

.PHONY: bench-agent
bench-agent: venv ## figures of one agent: speed, memory, CPU at rest; needs root
	@$(BIN)/python -m bench.agent

.PHONY: soak
soak: venv ## half an hour of churn around one agent; an error when its memory or descriptors grow; needs root
	@$(BIN)/python -m bench.agent.soak

.PHONY: bench-operator
bench-operator: venv ## figures of the operator with NODES=1000 simulated agents on a real API server
	@KUBEBUILDER_ASSETS="$$(hack/assets.sh | tail -n 1)" PYTHONPATH=tests $(BIN)/python -m bench.operator --nodes $(or $(NODES),1000)

.PHONY: lint
lint: venv ## ruff, mypy --strict, the laws of the layers, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy api agent operator tests hack bench
	@$(BIN)/lint-imports
	@hack/drift.sh

.PHONY: format
format: venv ## put all Python into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: manifests
manifests: venv ## CRDs and the field reference, from the types in api/
	@$(BIN)/python -m device_plugin_api.crd crds
	@$(BIN)/python hack/reference.py docs/reference/config.md

.PHONY: protos
protos: venv ## the kubelet's gRPC services as Python
	@hack/generate-protos.sh

.PHONY: constraints
constraints: venv ## pin in constraints.txt what .venv holds now
	@hack/constraints.sh

.PHONY: venv
venv: ## .venv with everything in constraints.txt
	@hack/venv.sh

.PHONY: images
images: ## both images, deviceplugins.dev/operator:dev and deviceplugins.dev/agent:dev
	@hack/images.sh
	@hack/build.sh

.PHONY: cluster
cluster: ## the kind cluster alone
	@hack/cluster.sh up

.PHONY: clean-cluster
clean-cluster: ## remove the cluster and all that was started for it
	@hack/clean.sh
