# Commands of the project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
TESTS ?= tests
WORKERS ?= 3
SERVICES ?=
SEED ?= 1
BENCHMARKS ?= connector charges feeds scheduled catalog reconciliation

# many short processes: compiled modules must be kept
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install system demo up test simulate simulate-long proofs bench bench-full lint format lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(READY) ## the virtual environment, from the lock

$(READY): requirements.txt pyproject.toml
	@python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Backroom needs Python 3.11 to 3.13; this is $$(python3 --version)" >&2; exit 2; }
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check "$$(grep -E '^uv==' requirements.txt)"
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) -r requirements.txt
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps --editable .
	@touch $(READY)

system: ## Debian packages that the tests need (as root)
	@deploy/system-packages.sh

demo: $(READY) ## one store day, end to end, under a real Airflow scheduler
	$(PYTHON) -m backroom_stack demo

up: $(READY) ## the whole system, left running; SERVICES="db aws sandbox connector portal" for a part
	$(PYTHON) -m backroom_stack up $(SERVICES)

test: $(READY) system ## every test; TESTS=tests/charges for a part
	$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

simulate: $(READY) ## the money proven: 10,000 trips, every fault, 50 killed workers; SEED=2 for another run
	$(PYTHON) -m backroom_stack simulate --seed $(SEED) --trips 10000 --faults 0.2 --kills 50

simulate-long: $(READY) ## likewise with 100,000 trips and 100 killed workers
	$(PYTHON) -m backroom_stack simulate --seed $(SEED) --trips 100000 --faults 0.2 --kills 100

proofs: $(READY) ## the tests that take minutes: every mistake that the simulation must find
	$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m proof $(TESTS)

bench: $(READY) ## how fast it is, against references of the same run; BENCHMARKS=charges for a part
	@missed=0; for part in $(BENCHMARKS); do $(PYTHON) -m tests.benchmarks.$$part || missed=1; done; exit $$missed

bench-full: $(READY) ## the charges with 100,000 trips
	$(PYTHON) -m tests.benchmarks.charges --full

lint: $(READY) ## format, lint, types, who may import whom
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(READY) ## put the code in form
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock: $(READY) ## requirements.txt from pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --universal --all-extras --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml -o requirements.txt

clean: ## the environment and all local state
	rm -rf $(VENV) .backroom
