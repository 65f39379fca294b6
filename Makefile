# `make demo` and `make test` do all of their own set-up, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-thorough lint clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml .ci/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .ci/constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/soupxr demo --out demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not thorough"

# Clusters, kills and bad inputs by the hundred.
test-thorough: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m thorough

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo build dist
