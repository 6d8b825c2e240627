SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
# Two installs at once would write the same legan_tf.egg-info.
.NOTPARALLEL:

# Quickstart runs on any Python from 3.9 to 3.13; the tests run both stacks on 3.11.
PYTHON ?= python3
PYTHON311 ?= $(or $(shell command -v python3.11),python3)
# Worker processes (a third fills the pauses of two cores) and further arguments of pytest:
# make test-a PYTEST_ARGS="-k export -x"
JOBS ?= 3
PYTEST_ARGS ?=
# A file is the work of one worker, for its fixtures; conftest.py says in which order.
SHARED := --dist loadfile --no-loadscope-reorder --durations=15

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TF_CPP_MIN_LOG_LEVEL := 2

export LEGAN_TF_EXCHANGE := $(CURDIR)/build/exchange

PACKAGING := setup.py pyproject.toml

.PHONY: help quickstart test test-a test-b test-gpu check lint format wheel docs clean

help:
	@echo "make quickstart   install into .venv, train a small LEGAN, write its grid and its export"
	@echo "make test         lint, then every test on both stacks (.venv-a, .venv-b)"
	@echo "make check        lint and the quick tests on TensorFlow 2.15, in three minutes"
	@echo "make test-a       every test on TensorFlow 2.15 (PYTEST_ARGS=... goes to pytest)"
	@echo "make test-b       every test on TensorFlow 2.21 and Keras 3"
	@echo "make test-gpu     the tests that need a GPU, on both stacks, on a machine that has one"
	@echo "make lint         ruff: rules and format; mypy: types"
	@echo "make format       ruff: mend what it can; write the tables of what is registered into docs/"
	@echo "make wheel        build dist/*.whl and dist/*.tar.gz, and try the wheel in a new environment"
	@echo "make docs         build/site, the documentation, with the notebook run"
	@echo "make clean        remove environments and caches; runs and exports stay"

quickstart: .venv/installed
	.venv/bin/python scripts/quickstart.py --workdir=runs/quickstart

# Each stack leaves models in build/exchange; in the end each has read what the other wrote.
test:
	rm -rf $(LEGAN_TF_EXCHANGE)
	$(MAKE) --keep-going lint test-a test-b
	.venv-a/bin/python -m pytest tests/serving/test_exchange.py

test-a: .venv-a/installed
	.venv-a/bin/python -m pytest -n $(JOBS) $(SHARED) $(PYTEST_ARGS)

test-b: .venv-b/installed
	.venv-b/bin/python -m pytest -n $(JOBS) $(SHARED) $(PYTEST_ARGS)

test-gpu: .venv-a/installed .venv-b/installed
	.venv-a/bin/pip install -qq -c constraints/stack-a.txt -e ".[cuda]"
	.venv-b/bin/pip install -qq -c constraints/stack-b.txt "tensorflow[and-cuda]"
	LEGAN_TF_GPU=1 .venv-a/bin/python -m pytest -m gpu $(PYTEST_ARGS)
	LEGAN_TF_GPU=1 .venv-b/bin/python -m pytest -m gpu $(PYTEST_ARGS)

check: lint
	.venv-a/bin/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

lint: .venv-a/installed
	.venv-a/bin/ruff check .
	.venv-a/bin/ruff format --check .
	.venv-a/bin/mypy

format: .venv-a/installed
	.venv-a/bin/ruff check --fix .
	.venv-a/bin/ruff format .
	PYTHONPATH=. .venv-a/bin/python docs/tables.py

wheel: .venv-a/installed
	rm -rf dist
	LEGAN_TF_DIST=$(CURDIR)/dist .venv-a/bin/python -m pytest tests/test_wheel.py

# A notebook that has not changed is not run again while .cache is there.
docs: export PATH := $(CURDIR)/.venv-a/bin:$(PATH)
docs: export NO_MKDOCS_2_WARNING := 1
docs: .venv-a/installed
	mkdocs build --quiet

clean:
	rm -rf .venv .venv-a .venv-b build dist legan_tf.egg-info .pytest_cache .ruff_cache .mypy_cache .cache
	find legan_tf legan_research scripts tests -name __pycache__ -prune -exec rm -rf {} +

# Each environment is made anew when a pin or a requirement changes, so that none outlives it.
.venv/installed: $(PACKAGING) constraints/stack-a.txt constraints/stack-b.txt
	@stack=$$($(PYTHON) -c "$$PICK_STACK")
	echo "Installing stack $$stack into .venv (one to three minutes)"
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install -qq -c constraints/stack-$$stack.txt -e .
	touch $@

.venv-a/installed: $(PACKAGING) constraints/stack-a.txt constraints/docs.txt
	@$(PYTHON311) -c "$$CHECK_311"
	echo "Installing stack A into .venv-a (one to three minutes)"
	$(PYTHON311) -m venv --clear .venv-a
	.venv-a/bin/pip install -qq -c constraints/stack-a.txt -c constraints/docs.txt \
	  -e ".[dev,align,depth,docs,serving]"
	touch $@

# On Python 3.11 legan-tf asks for stack A: the pins give stack B, --no-deps keeps it.
.venv-b/installed: $(PACKAGING) constraints/stack-b.txt
	@$(PYTHON311) -c "$$CHECK_311"
	echo "Installing stack B into .venv-b (one to three minutes)"
	$(PYTHON311) -m venv --clear .venv-b
	.venv-b/bin/pip install -qq -r constraints/stack-b.txt
	.venv-b/bin/pip install -qq --no-deps -e .
	touch $@

define PICK_STACK
import sys
version = sys.version_info[:2]
if not (3, 9) <= version <= (3, 13):
    sys.exit("$(PYTHON) is Python %d.%d; give one from 3.9 to 3.13: make PYTHON=/path/to/python" % version)
print("a" if version < (3, 12) else "b")
endef
export PICK_STACK

define CHECK_311
import sys
version = sys.version_info[:2]
if version != (3, 11):
    sys.exit("$(PYTHON311) is Python %d.%d; both stacks need 3.11: make PYTHON311=/path/to/python3.11" % version)
endef
export CHECK_311
