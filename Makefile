# `make demo` and `make test` need python3 and make, nothing else; `make help` lists the rest.
# They make .venv with uv where it is there, else with pip: `make demo UV=` insists on pip.

PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

ifdef UV
create := $(UV) venv --quiet --allow-existing --no-python-downloads --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
install := $(UV) pip install --quiet --python $(BIN)/python
else
create := $(PYTHON) -m venv $(VENV)
install := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.DEFAULT_GOAL := help
.PHONY: help demo test vllm check docs lock clean python

help:  ## list what make can do
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r name what; do printf '%-12s %s\n' "$$name" "$$what"; done

demo: $(INSTALLED)  ## judge the starter pairs with baselines and simulated judges, show and write the leaderboard
	@$(BIN)/llmbar demo $(ARGS)

test: $(INSTALLED)  ## run the whole suite (ARGS="-k engine" for a part of it)
	@$(BIN)/python -m pytest -n auto $(ARGS)

vllm: $(INSTALLED)  ## install vLLM for CPU (3 GB) and run what is tested with it: ten minutes
	@LLMBAR_VLLM=$$(.ci/install-vllm) $(BIN)/python -m pytest tests/vllm $(ARGS)

check: $(INSTALLED)  ## lint, formatting, types, layers, and whether the generated pages are up to date
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py
	$(BIN)/python docs/generate.py --check

docs: $(INSTALLED)  ## write the generated pages in docs/
	@$(BIN)/python docs/generate.py

clean:  ## remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# What is pinned is installed by hash, then this package itself without looking for anything more.
$(INSTALLED): requirements.lock pyproject.toml | python
	@echo "installing into $(VENV) with $(if $(UV),uv,pip) (once; a minute or two)"
	@$(create)
	@$(install) --require-hashes -r requirements.lock
	@$(install) --no-deps --no-build-isolation -e .
	@touch $@

python:
	@command -v $(PYTHON) >/dev/null || { echo "llmbar needs Python 3.11 or newer, and there is no $(PYTHON)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "llmbar needs Python 3.11 or newer, and this is $$($(PYTHON) --version 2>&1): name another, such as make PYTHON=python3.13" >&2; exit 1; }
ifndef UV
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make an environment: install python3-venv, or uv" >&2; exit 1; }
endif

# Moves every pin to the newest version that fits pyproject.toml, for all platforms and Pythons alike.
lock:
	@test "$(CI)" = true || { echo "make lock changes what everyone installs: it is for CI (CI=true)" >&2; exit 1; }
	$(if $(UV),,$(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet uv)
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(or $(UV),$(VENV)/uv/bin/uv) pip compile pyproject.toml --extra dev \
		--upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url \
		--quiet --output-file requirements.lock
