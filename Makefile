# What people, the lints and .ci/run call. Stamps under .venv/stamp let a second run skip what has not changed; Python sources need
# no stamp, because the package is installed in place. Written for GNU Make 3.81, which macOS has.

VENV := .venv
PEERS := .venv-peers
TORCH := .venv-peers-torch
BIN := $(VENV)/bin
# Recipes run the native module in place from other interpreters too: it has the stable ABI of Python 3.11 and later.
IN_PLACE := PYTHONPATH="$(CURDIR)/python"

RUST_MINOR := $(shell sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' Cargo.toml)
NATIVE_SOURCES := Cargo.toml Cargo.lock pyproject.toml \
	$(shell find rust -name target -prune -o \( -name '*.rs' -o -name '*.wgsl' -o -name Cargo.toml \) -print | grep -v -e /tests/ -e /benches/)

# Running is the test: a version manager's shim can be on the path for an interpreter that it does not have, and Debian's Python
# comes without ensurepip.
USABLE_PYTHON := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
find_python = $(shell for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
	if "$$python" -c '$(USABLE_PYTHON)' >/dev/null 2>&1; then echo "$$python"; break; fi; done)
find_rust = $(shell cargo --version >/dev/null 2>&1 && rustc --version 2>/dev/null | \
	awk -F'[ .]' '{ if ($$2 > 1 || $$3 >= $(RUST_MINOR)) print "found" }')
need_python = $(or $(find_python),$(error $(if $(PYTHON),PYTHON=$(PYTHON) is not a working Python 3.11 or newer with venv and pip,\
	foliot needs Python 3.11 or newer with venv and pip: install it (Debian: apt install python3 python3-venv) or name one with PYTHON=)))
need_rust = $(if $(find_rust),,$(error foliot needs Rust 1.$(RUST_MINOR) or newer (cargo and rustc): install it from https://rustup.rs))\
	$(if $(shell command -v cc),,$(error foliot needs a C linker for Rust (cc): install one (Debian: apt install gcc; macOS: xcode-select --install)))

# Cargo runs in parallel by itself, and two targets at once would fight for its lock.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python test-peers bench bench-smoke lint format wheel coverage clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(VENV)/stamp/native ## train the sentiment model and show it working (ARGS="--cell lstm --epochs 5" ...)
	$(BIN)/foliot demo sentiment $(ARGS)

test: test-rust test-python ## build and run every test, Rust and Python

test-rust: $(VENV)/stamp/python
	cargo test --locked --workspace

test-python: $(VENV)/stamp/test
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest --doctest-modules python/foliot

# Keras's time goes into XLA's compiler: most of its passes are left out, and each processor gets tests.
test-peers: $(VENV)/stamp/native $(PEERS)/stamp ## the differential tests against live Keras (JAX), ONNX Runtime and PyTorch
	KERAS_BACKEND=jax JAX_PLATFORMS=cpu JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(IN_PLACE) \
		$(PEERS)/bin/python -m pytest --numprocesses auto --dist worksteal tests/peers
	@PEERS="$(PEERS)" VENV="$(TORCH)" TORCH_PYTHON="$(TORCH_PYTHON)" $(IN_PLACE) bash scripts/test_torch.sh

bench: $(VENV)/stamp/native $(PEERS)/stamp ## foliot beside its peers, the tutorial's model; FULL=1: all rows, TensorFlow, Rust benches
ifdef FULL
	$(PEERS)/bin/python -m pip install --quiet --group bench
	$(BIN)/python benches/side_by_side.py $(ARGS)
	$(BIN)/python benches/twins.py
	$(IN_PLACE) $(PEERS)/bin/python benches/text.py
	cargo bench --locked --workspace
else
	$(BIN)/python benches/side_by_side.py --rows imdb_rnn --threads 2 $(ARGS)
endif

lint: $(VENV)/stamp/lint ## formatting, clippy, ruff, mypy, stubtest, rustdoc; warnings are errors
	cargo fmt --all --check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest foliot._core
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

format: $(VENV)/stamp/lint ## let rustfmt and ruff rewrite the sources
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The wheel shares the build in target/; that the sdist builds by itself is shown by installing it, in .ci/run.
wheel: $(VENV)/stamp/python ## dist/: the wheel (abi3, Python 3.11 and later) and the sdist
	rm -f dist/foliot-*
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist
	$(BIN)/python tests/release/check_dist.py dist

coverage: $(VENV)/stamp/test ## line coverage of both languages, from both languages' tests
	PYTHON="$(CURDIR)/$(BIN)/python" bash scripts/coverage.sh

clean: ## remove everything that was built or installed here
	rm -rf $(VENV) $(PEERS) $(TORCH) target dist out .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f python/foliot/_core*.so python/foliot/_core*.pyd
	find python tests benches -name __pycache__ -prune -exec rm -rf {} +

# pip 25.1 is the first that installs dependency groups.
$(VENV)/stamp/python:
	$(need_rust)@echo "Setting up $(VENV) with $(need_python)"
	@$(need_python) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --group build
	@mkdir -p $(@D) && touch $@

$(VENV)/stamp/native: $(VENV)/stamp/python $(NATIVE_SOURCES)
	$(need_rust)VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/maturin develop --release --extras demo
	@touch $@

$(VENV)/stamp/test: $(VENV)/stamp/native
	$(BIN)/python -m pip install --quiet --group test
	@touch $@

$(VENV)/stamp/lint: $(VENV)/stamp/test
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@

$(PEERS)/stamp: pyproject.toml
	$(need_python) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(PEERS)/bin/python -m pip install --quiet --group peers
	@touch $@
