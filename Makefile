# Two commands: `make demo` runs the main job on simulated data, `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test check validate clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/ctwml-simulate $(DEMO)/bids --participants 2 --seed 1
	$(BIN)/python run.py $(DEMO)/bids $(DEMO)/derivatives participant group --random-seed 1
	@echo "Open $(DEMO)/derivatives/sub-01.html and $(DEMO)/derivatives/group.html"

test: $(VENV)/.installed
	$(BIN)/python -m pytest

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

clean:
	rm -rf $(DEMO) build dist
