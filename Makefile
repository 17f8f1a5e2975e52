# `make` alone prints what can be done. Every target that needs .venv makes it first.
.DEFAULT_GOAL := help
.PHONY: screenshots bench-pages help environment check test demo up clean-local lock schemas format bench-export bench-scheduler bench-eta bench-history bench-api chaos-exporter chaos-scheduler

PYTHON := .venv/bin/python
PARTS := shared services client deploy tests docs
TYPED := shared services/job-api/job_api services/scheduler/scheduler services/exporter/exporter services/history/history client/sluice deploy tests docs/examples

help: ## Print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment: ## Make .venv from requirements.lock (only when it changed)
	@for python in python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python -m deploy.local.bootstrap; \
		fi; \
	done; \
	echo "sluice: needs Python 3.11 or newer and found none; apt-get install python3.11 python3.11-venv" >&2; exit 1

check: environment ## Format, lint, types, unit and contract tests: a minute or two, needs nothing that runs
	$(PYTHON) -m ruff format --check $(PARTS)
	$(PYTHON) -m ruff check $(PARTS)
	$(PYTHON) -m mypy --strict $(TYPED)
	$(PYTHON) -m pytest -q -n 2 tests/unit tests/contract

test: check ## All of check, then the tests on real Kafka and PostgreSQL, then the whole system
	$(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/integration tests/e2e

demo: environment ## Run one export from start to finish on this machine, and stop everything again
	@$(PYTHON) -m deploy.local demo $(if $(INTERACTIONS),--interactions $(INTERACTIONS))

up: environment ## Run the whole system until Ctrl-C; what it holds is kept (PORT=8080 chooses the page's port)
	@$(PYTHON) -m deploy.local up $(if $(PORT),--port $(PORT)) $(if $(INTERACTIONS),--interactions $(INTERACTIONS))

clean-local: environment ## Stop what `make up` left running, and remove what it kept
	@$(PYTHON) -m deploy.local clean

lock: environment ## Resolve requirements.in anew into requirements.lock
	.venv/uv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --upgrade requirements.in -o requirements.lock

schemas: environment ## Write the JSON Schemas of events and records anew; a breaking change is refused
	$(PYTHON) -m shared.contract
	$(PYTHON) -m exporter.source.record_schema

format: environment ## Format the code and mend what the linter can
	$(PYTHON) -m ruff format $(PARTS)
	$(PYTHON) -m ruff check --fix $(PARTS)

bench-export: environment ## Measure the export beside the shell's tools (ROWS=300000); the last line is JSON
	@$(PYTHON) -m tests.bench.export $(if $(ROWS),--rows $(ROWS))

bench-scheduler: environment ## Measure the scheduler beside APScheduler; ARGUMENTS=--quick for a small try
	@$(PYTHON) -m tests.bench.scheduler $(ARGUMENTS)

chaos-exporter: environment ## A storm over running exporters: one huge and 100 small runs (BLOWS=n kills and freezes)
	SLUICE_TEST_STORM_BLOWS=$(or $(BLOWS),25) $(PYTHON) -m pytest -q -rA --timeout 3600 tests/chaos/exporter

chaos-scheduler: environment ## Storms over running schedulers: 200,000 slots while everything is killed
	SLUICE_TEST_STORM_SLOTS=200000 $(PYTHON) -m pytest -q -rA --timeout 7200 tests/integration/scheduler/test_storm.py

bench-eta: environment ## Measure the estimates of the time left beside tqdm and rich on made-up traces
	@$(PYTHON) -m tests.bench.eta $(ARGUMENTS)

bench-history: environment ## Measure the run log, the estimates and their API; ARGUMENTS=--help says what can be sized
	@$(PYTHON) -m tests.bench.history $(ARGUMENTS)

bench-api: environment ## Measure the job API beside a bare route on the same PostgreSQL
	@$(PYTHON) -m tests.bench.api $(ARGUMENTS)

bench-pages: environment ## Measure the Jobs page with 10,000 jobs: first byte, weight, a slow line; the last line is JSON
	@$(PYTHON) -m tests.bench.pages $(ARGUMENTS)

screenshots: environment ## Write a picture of every page, light and dark, to ./screenshots (FOLDER=...)
	@$(PYTHON) -m tests.bench.pages.screenshots $(or $(FOLDER),screenshots)
