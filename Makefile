# All of these do their own set-up, in .venv (test-lowest: in .venv-lowest).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOWEST := .venv-lowest
LOWEST_STAMP := $(LOWEST)/.installed

.PHONY: setup demo test test-thorough lint docs test-lowest test-packages clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml .ci/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .ci/constraints.txt --editable '.[dev]'
	touch $@

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/soupxr demo --out demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not thorough"

# Clusters, the examples, kills and bad inputs by the hundred.
test-thorough: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m thorough

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

$(LOWEST_STAMP): pyproject.toml .ci/constraints-lowest.txt
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .ci/constraints-lowest.txt --editable '.[test]'
	touch $@

# The quick tests with the lowest versions that pyproject.toml allows.
test-lowest: $(LOWEST_STAMP)
	$(LOWEST)/bin/python -m pytest -n auto --dist worksteal \
	  -m "not slow and not browser and not thorough"

# Wheel and sdist, in an environment of their own.
test-packages: $(STAMP)
	.ci/test-packages

clean:
	rm -rf $(VENV) $(LOWEST) demo build dist
