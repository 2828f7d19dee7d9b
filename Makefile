# Each command sets up what it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 4

# A test run starts hundreds of short processes: let them share compiled bytecode, whatever the shell has set.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo dev check quick test faults hostile worlds load coverage lint types walls validate values-schema image image-test \
	lock azurite licences clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^\#]*\#\#/make \1\t/p' Makefile

demo: $(VENV)/runtime  ## sync an embedded world twice and show what each run did
	$(BIN)/python -m safetyamp_pipelines.cli.demo demo

dev: $(VENV)/runtime  ## the Dagster UI on the embedded world, at http://127.0.0.1:3000
	$(BIN)/python -m safetyamp_pipelines.cli.demo ui

check: lint types walls  ## lint, format, types and the walls between the rooms

quick: $(VENV)/development  ## the tests to run all the time: no browser, no server beyond the sandbox
	$(BIN)/python -m pytest -m "not slow" -n auto

test: $(VENV)/development  ## all tests
	$(BIN)/python -m pytest -n $(WORKERS)

faults: $(VENV)/development  ## every fault on every call, and a kill at every write; SAMPLE=100 tries 100 of them [SEED=…]
	cd tests && ../$(BIN)/python -m reliability $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))
	$(if $(SAMPLE),,cd tests && ../$(BIN)/python -m reliability.second_day)

hostile: $(VENV)/development  ## every hostile value in every field, then MINUTES of fuzzing (10)
	cd tests && ../$(BIN)/python -m hostile $(MINUTES)

worlds: $(VENV)/development  ## ten thousand random worlds
	cd tests && ../$(BIN)/python -m worlds

load: $(VENV)/development  ## a first load of 20,000 people and a day of 96 syncs; fails on growth; OPTIONS="--people 2000 --syncs 12" is less
	cd tests && ../$(BIN)/python -m load $(OPTIONS)

coverage: $(VENV)/development  ## lines and branches that the tests pass through, as a table and in .coverage-report/
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term --cov-report=html

lint: $(VENV)/development  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/development  ## mypy, strict
	$(BIN)/mypy

walls: $(VENV)/development  ## what may import what
	$(BIN)/python -m pytest tests/test_walls.py

validate: $(VENV)/development  ## whether Dagster loads the definitions
	$(BIN)/dagster definitions validate -w workspace.yaml

values-schema: $(VENV)/development  ## the schema of the chart's values, from values.yaml and the settings model
	cd tests && ../$(BIN)/python -m deployment.schema

image:  ## the one image, by docker, podman or buildah; ODBC_DRIVER=freetds leaves Microsoft's driver out
	docker/image.sh build

image-test:  ## run the main job in the image: read-only, unprivileged, no network except the embedded world
	docker/image.sh test

# Everything comes by hash, uv and the setuptools of the build too.
define install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(1)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@
endef

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: $(BIN)/python requirements.lock requirements-build.lock pyproject.toml
	$(call install,requirements.lock)

$(VENV)/development: $(BIN)/python requirements-dev.lock requirements-build.lock pyproject.toml
	$(call install,requirements-dev.lock)
	touch $(VENV)/runtime

# requirements.lock is what `make demo` needs, with the sandbox; each other lock keeps to its versions.
compile = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--no-strip-extras --quiet $(if $(UPGRADE),--upgrade)
lock: $(VENV)/development  ## the lock files, in step with pyproject.toml; UPGRADE=1 takes the newest versions
	$(compile) pyproject.toml --extra sandbox --output-file requirements.lock
	$(compile) pyproject.toml --all-extras --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(compile) --group build --output-file requirements-build.lock
	$(compile) pyproject.toml --extra azure --extra k8s --extra otel --extra sandbox --constraint requirements-dev.lock --output-file requirements-image.lock

azurite:  ## Azurite and axe-core from npm, with which blobs and pages are tested; without them those tests are skipped
	mkdir -p $(VENV)/azurite && cd $(VENV)/azurite && npm install --silent --no-fund --no-audit azurite@3.35.0 axe-core@4.14.1

licences: $(VENV)/development  ## what ships in the image, in which version and under which licence
	$(BIN)/python docker/licences.py requirements-image.lock

clean:  ## remove the environment and the embedded worlds
	rm -rf $(VENV) .demo .dev .coverage .coverage-report
