# Two commands do all set-up: `make demo` and `make test`. Everything they install goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test lint install clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/.demo  ## score real rollouts, grade hostile code, train a small model; table and HTML report
	$(BIN)/python -m proctor.benchmarks.demo --out demo-out

# Deadlines are what many tests are about: on a busy machine one may fail for want of a processor, so it is
# run again, and pytest says that it was.
test: $(VENV)/.test  ## install what the tests need and run them on all cores
	$(BIN)/python -m pytest -n auto --dist loadgroup --reruns 2 -rfEsR

lint: $(VENV)/.test  ## formatting, types, layers, size budgets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/shape.py

install: $(VENV)/.demo  ## an editable install for using Proctor from this checkout

clean:  ## remove the virtual environment and build output
	rm -rf $(VENV) build dist *.egg-info demo-out

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[train]'
	touch $@

# The engines of the tests come in a second step: vLLM pulls torch's companions built for another
# torch release, which break its import and are not needed.
$(VENV)/.test: $(VENV)/.demo tests/requirements.txt
	$(PIP) --editable '.[data,deepspeed,dev,docker]' --requirement tests/requirements.txt
	$(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@
