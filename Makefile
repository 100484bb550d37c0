# Model Gateway. `make help` lists what there is to do; `make run` and `make test` each do all they need.

CONFIG ?= ## configuration file for `make run` (none: the built-in default, with simulated providers)
ENVOY  ?= ## an Envoy of your own, 1.39 or later (none: the pinned one, installed into .tools)

# Comments after a value would leave blanks in it.
override CONFIG := $(strip $(CONFIG))
override ENVOY  := $(strip $(ENVOY))

# What setup installed comes first, for the command, the tests and cargo's runner alike.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export ENVOY
# The command and the tests look for the module under target/.
unexport CARGO_TARGET_DIR

COMMAND := target/command/model-gateway
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = "[:?].*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@awk 'BEGIN { FS = " *[?]=.*## " } /^[A-Z]+ *[?]=.*## / { printf "  %-19s %s\n", $$1 "=...", $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install the wasm target and Envoy (into .tools), once
	@tests/setup/install prerequisites target:wasm32-wasip1 envoy

.PHONY: compile
compile:
	@tests/setup/install prerequisites target:wasm32-wasip1
	cargo build --release --target wasm32-wasip1 --lib
	cargo build --profile command --bin model-gateway

.PHONY: build
build: compile ## build the native command, and the module with all that makes it fast
	cargo run --example hints

.PHONY: run
run: setup compile ## serve, from nothing: make run CONFIG=gateway.yaml
	$(COMMAND) run $(if $(CONFIG),"$(CONFIG)")

.PHONY: test
test: ## everything CI runs, each step with its time
	@MAKE="$(MAKE)" tests/setup/steps setup lint build test-native test-wasm test-schemas test-sdk

.PHONY: test-native
test-native: setup build ## the Rust tests: core, module on a small host, real Envoy
	@tests/setup/install redis prometheus browser
	@tests/setup/native-tests

.PHONY: test-wasm
test-wasm: ## the core on wasm32, in Node
	@tests/setup/wasm-tests

.PHONY: test-schemas
test-schemas: ## translated requests against the schemas of the providers' own SDKs
	@tests/setup/install prerequisites schemas
	@tests/setup/schema-tests

.PHONY: test-sdk
test-sdk: setup build ## SDKs of Python and Node as clients of the running gateway
	@tests/setup/install sdk node-sdk
	.tools/venv-sdk/bin/python -m pytest tests/sdk

.PHONY: bench
bench: setup build ## all benchmarks, on an idle machine: parts of the core, plans, limits, reports, latencies, and then as bench-cost
	cargo bench --profile command --bench micro
	cargo bench --profile command --bench plan
	cargo bench --profile command --bench limits
	cargo bench --profile command --bench report
	cargo bench --profile command --bench gateway
	@$(MAKE) bench-cost

.PHONY: bench-cost
bench-cost: setup build ## the gateway beside Envoy alone and earlier releases: make bench-cost RELEASES="v1=COMMAND" ONLY="2 KB" ROUNDS=3 THOUSANDS=1000
	cargo build --release --target wasm32-wasip1 --example empty
	BENCH_RELEASES="$(RELEASES)" BENCH_ONLY="$(ONLY)" BENCH_ROUNDS=$(ROUNDS) BENCH_THOUSANDS=$(THOUSANDS) cargo bench --profile command --bench cost

.PHONY: chaos
chaos: setup build ## targets failing at random, 50 clients: make chaos SECONDS=300 SEED=7
	CHAOS_SECONDS=$(or $(SECONDS),300) CHAOS_SEED=$(SEED) cargo test --profile command --test chaos -- --nocapture

.PHONY: lint
lint: ## formatting, and clippy for every target
	@tests/setup/install prerequisites lint-tools target:wasm32-wasip1 target:wasm32-unknown-unknown
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --target wasm32-wasip1 --lib -- -D warnings
	cargo clippy --target wasm32-unknown-unknown --test wasm -- -D warnings

.PHONY: clean
clean: ## remove all that was built, installed or written
	rm -rf target .tools run
