# Two commands: `make demo` and `make test`. Each sets up what it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8

.PHONY: demo dev test faults worlds lint types validate lock clean

demo: $(VENV)/runtime
	$(BIN)/python -m safetyamp_pipelines.cli.demo demo

dev: $(VENV)/runtime
	$(BIN)/python -m safetyamp_pipelines.cli.demo ui

test: $(VENV)/development
	$(BIN)/python -m pytest

# Every fault on every call of a run, and a kill at every write; writes docs/reliability.md. MINUTES=60 ends it in time.
faults: $(VENV)/development
	cd tests && ../$(BIN)/python -m reliability $(if $(MINUTES),--minutes $(MINUTES))

# Ten thousand random worlds.
worlds: $(VENV)/development
	cd tests && ../$(BIN)/python -m worlds

lint: $(VENV)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/development
	$(BIN)/mypy

validate: $(VENV)/development
	$(BIN)/dagster definitions validate -w workspace.yaml

# uv installs in seconds what takes pip minutes; where uv is not to be had, pip does it from the same locked hashes.
define install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
endef

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: $(BIN)/python requirements.lock pyproject.toml
	$(call install,requirements.lock)

$(VENV)/development: $(BIN)/python requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	touch $(VENV)/runtime

# Writes both lock files anew from pyproject.toml.
lock: $(VENV)/development
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-strip-extras --quiet --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --all-extras --group dev \
	  --no-emit-index-url --no-header --no-strip-extras --quiet --output-file requirements-dev.lock --constraint requirements.lock

clean:
	rm -rf $(VENV) .demo .dev
