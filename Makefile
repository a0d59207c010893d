# Every target sets up what it needs in .venv; there is no other set-up step.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

.PHONY: demo test lint bench soak clean

demo: .venv/.runtime
	$(BIN)/ridgeline demo

test: .venv/.test lint
	$(BIN)/python -m pytest

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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
# An older DuckDB beside the pinned one: the analysts' file must open with both.
.venv/.test: .venv/.runtime
	$(INSTALL) --editable '.[test]'
	-command -v initdb || ls /usr/lib/postgresql/*/bin/initdb || [ "$$(id -u)" != 0 ] || { apt-get update -qq && apt-get install -y -qq postgresql; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/duckdb1 'duckdb==1.4.2'
	touch $@
