# Two commands on a fresh machine: 'make demo' and 'make test'.
# PYTHON chooses the interpreter (3.11 or newer) the environment is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test lint bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "seqcli needs Python 3.11 or newer: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,fast,plots,sweep]'
	$(BIN)/python -m compileall -q seqcli
	touch $(STAMP)

demo: setup
	@echo '$$ seqcli train ner'
	@$(BIN)/seqcli train ner
	@echo
	@echo '$$ echo "Mohan Sharma was driving a Maruti 800 in Chennai" | seqcli predict ner'
	@echo "Mohan Sharma was driving a Maruti 800 in Chennai" | $(BIN)/seqcli predict ner

test: setup
	$(BIN)/python -m pytest -n auto

lint: setup
	$(BIN)/ruff check seqcli tests benchmarks data
	$(BIN)/ruff format --check seqcli tests benchmarks data
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/startup.py
	GOMP_SPINCOUNT=10000 $(BIN)/python benchmarks/tagging.py
	GOMP_SPINCOUNT=10000 $(BIN)/python benchmarks/language.py
	$(BIN)/python benchmarks/classification.py
	$(BIN)/python benchmarks/scores.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
