# Two commands: `make demo` and `make test`. Each sets up what it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo dev test faults worlds coverage lint types validate values-schema image image-test lock clean

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

# Lines and branches that the tests pass through, as a table and in .coverage-report/; there is no threshold to write tests for.
coverage: $(VENV)/development
	$(BIN)/python -m pytest --cov --cov-report=term --cov-report=html

lint: $(VENV)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/development
	$(BIN)/mypy

validate: $(VENV)/development
	$(BIN)/dagster definitions validate -w workspace.yaml

# The schema of the chart's values, from values.yaml and the settings model.
values-schema: $(VENV)/development
	cd tests && ../$(BIN)/python -m deployment.schema

# The one image, by docker, podman or buildah. ODBC_DRIVER=freetds leaves Microsoft's driver out.
image:
	docker/image.sh build

# Runs the main job in the image: read-only, no privileges, no network but the embedded world.
image-test:
	docker/image.sh test

# Everything comes by hash, uv and the setuptools of the build too.
define install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1)
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

# Brings the lock files in step with pyproject.toml; UPGRADE=1 takes the newest versions as well. requirements.lock is
# what `make demo` needs, with the sandbox; each other lock keeps to its versions.
compile = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--no-strip-extras --quiet $(if $(UPGRADE),--upgrade)
lock: $(VENV)/development
	$(compile) pyproject.toml --extra sandbox --output-file requirements.lock
	$(compile) pyproject.toml --all-extras --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(compile) --group build --output-file requirements-build.lock
	$(compile) pyproject.toml --extra azure --extra k8s --extra sandbox --constraint requirements.lock --output-file requirements-image.lock

clean:
	rm -rf $(VENV) .demo .dev .coverage .coverage-report
