# Every target sets up what it needs in .venv; there is no other set-up step.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt
# The tests of a file share stores and servers, so they stay with one worker.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo serve-demo test lint kernels bench soak clean

demo: .venv/.runtime
	$(BIN)/ridgeline demo

serve-demo: .venv/.runtime
	$(BIN)/ridgeline serve-demo

test: .venv/.test
	$(MAKE) --no-print-directory --jobs=2 lint kernels
	$(BIN)/python -m pytest $(PARALLEL)

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Compiles most kernels into Numba's cache, which the workers of the tests would do once each.
kernels: .venv/.runtime
	$(BIN)/ridgeline demo --json > /dev/null

bench: .venv/.test
	$(BIN)/python -m bench

# Fault and soak tests that take too long for every run.
soak: .venv/.test
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/.runtime: .venv/.python $(INPUTS)
	$(INSTALL) --editable .
	touch $@

# A PostgreSQL for the tests to start, where they may install one; elsewhere they skip what needs it and say so.
# A browser for the tests of the pages, likewise.
# An older DuckDB beside the pinned one: the analysts' file must open with both.
.venv/.test: .venv/.runtime
	$(INSTALL) --editable '.[test]'
	-command -v initdb || ls /usr/lib/postgresql/*/bin/initdb || [ "$$(id -u)" != 0 ] || { apt-get update -qq && apt-get install -y -qq postgresql; }
	-command -v chromium || [ "$$(id -u)" != 0 ] || { apt-get update -qq && apt-get install -y -qq chromium; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/duckdb1 'duckdb==1.4.2'
	touch $@
