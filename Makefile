# `make` alone lists the targets. Every target that needs .venv creates it first.
.DEFAULT_GOAL := help
SHELL := bash
.PHONY: bench screenshots bench-pages help environment check test properties demo up clean-local lock schemas format bench-export bench-open openssl-newest bench-decrypt bench-scheduler bench-eta bench-history bench-delivery bench-api chaos-exporter chaos-scheduler chaos-system chaos-hostile fuzz-certificates fuzz-decrypt fuzz-filters sbom

PYTHON := .venv/bin/python
# Python keeps what it compiles: without that, tests compile every module again in each of some hundred processes.
export PYTHONDONTWRITEBYTECODE :=
FOLDERS := shared services client deploy tests docs
TYPED := shared services/job-api/job_api services/scheduler/scheduler services/exporter/exporter services/history/history client/sluice deploy tests docs/examples

# Unit tests compute, so two at a time fill two processors; integration tests also wait, so three do.
# $(call timed,NAME,COMMAND) runs a command and prints how long it took, of the clock and of the processors.
timed = @echo "== $(1): $(2)"; TIMEFORMAT="== $(1) took %0R s (CPU: %0U s)"; time $(2)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment: ## Create .venv from requirements.lock (only when it has changed)
	@for python in python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python -m deploy.local.bootstrap; \
		fi; \
	done; \
	echo "sluice: Python 3.11 or newer is required and was not found; apt-get install python3.11 python3.11-venv" >&2; exit 1

check: environment ## Format, lint, types, unit and contract tests: a minute or two, without any server
	$(call timed,format,$(PYTHON) -m ruff format --check $(FOLDERS))
	$(call timed,lint,$(PYTHON) -m ruff check $(FOLDERS))
	$(call timed,types,$(PYTHON) -m mypy --strict $(TYPED))
	$(call timed,unit,$(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/unit tests/contract)

test: check ## Everything in check, then the tests with real Kafka and PostgreSQL, then the whole system
	$(call timed,integration,$(PYTHON) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder tests/integration tests/e2e)

properties: environment ## Search for counterexamples of the property tests forty times as long as make check does
	$(PYTHON) -m pytest -q -n 2 --hypothesis-profile=thorough --timeout 3600 -m hypothesis tests/unit

demo: environment ## Run one export from start to finish on this machine, then stop everything
	@$(PYTHON) -m deploy.local demo $(if $(INTERACTIONS),--interactions $(INTERACTIONS))

up: environment ## Run the whole system until Ctrl-C and keep its data (PORT=8080 sets the port of the pages)
	@$(PYTHON) -m deploy.local up $(if $(PORT),--port $(PORT)) $(if $(INTERACTIONS),--interactions $(INTERACTIONS))

clean-local: environment ## Stop the system that `make up` started, and remove its data
	@$(PYTHON) -m deploy.local clean

lock: environment ## Resolve requirements.in into requirements.lock, with the newest versions
	.venv/uv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --upgrade requirements.in -o requirements.lock

schemas: environment ## Rewrite the JSON Schemas of events and records; a breaking change is rejected
	$(PYTHON) -m shared.contract
	$(PYTHON) -m exporter.source.record_schema
	$(PYTHON) -m history.openapi
	$(PYTHON) -m job_api.openapi

format: environment ## Format the code and fix what the linter can fix
	$(PYTHON) -m ruff format $(FOLDERS)
	$(PYTHON) -m ruff check --fix $(FOLDERS)

bench: environment ## Run all benchmarks (about an hour) and write BENCHMARKS.md (ONLY=export for one of them)
	@$(PYTHON) -m tests.bench $(if $(ONLY),--only $(ONLY))

bench-decrypt: environment ## Compare sluice decrypt with openssl and unzip on 1 GB, and its memory on 5 GB (ARGUMENTS=--help)
	@$(PYTHON) -m tests.bench.decrypt $(ARGUMENTS)

OPENING_TESTS = tests/unit/stream/test_printed_commands.py tests/unit/stream/test_cms.py tests/unit/job_api/test_commands.py

bench-export: environment ## Compare the export with a shell pipeline (ROWS=300000); the last line is JSON
	@$(PYTHON) -m tests.bench.export $(if $(ROWS),--rows $(ROWS)) $(ARGUMENTS)

bench-open: environment ## Try which programs open the files (ARGUMENTS=--installed without downloads); the last line is JSON
	@$(PYTHON) -m tests.bench.open $(ARGUMENTS)

openssl-newest: environment ## Build the newest OpenSSL 3 from a crate, and open files with it as documents and pages say
	folder="$$(dirname "$$($(PYTHON) -m tests.bench.open.downloads)")" && \
	PATH="$$folder:$$PATH" OPENSSL_CONF="$$folder/openssl.cnf" $(PYTHON) -m pytest -q $(OPENING_TESTS)

bench-scheduler: environment ## Compare the scheduler with APScheduler (ARGUMENTS=--quick for a short run)
	@$(PYTHON) -m tests.bench.scheduler $(ARGUMENTS)

chaos-exporter: environment ## Kill and freeze exporters during one huge and 100 small runs (BLOWS=n faults)
	SLUICE_TEST_STORM_BLOWS=$(or $(BLOWS),25) $(PYTHON) -m pytest -q -rA --timeout 3600 tests/chaos/exporter

chaos-scheduler: environment ## Kill schedulers, Kafka and PostgreSQL during 200,000 slots
	SLUICE_TEST_STORM_SLOTS=200000 $(PYTHON) -m pytest -q -rA --timeout 7200 tests/integration/scheduler/test_storm.py

chaos-system: environment ## Run the whole system under faults and check every promise (SEED=1 MINUTES=5)
	@$(PYTHON) -m tests.chaos.system --seed $(or $(SEED),1) --minutes $(or $(MINUTES),5) $(if $(LOGS),--logs $(LOGS))

sbom: environment ## Write the bill of materials of all locked packages (CycloneDX) to sluice.cdx.json
	@$(PYTHON) -m deploy.supply_chain

fuzz-certificates: environment ## Upload 20,000 mutated certificates to the certificate rule (MUTATIONS=n)
	SLUICE_TEST_MUTATIONS=$(or $(MUTATIONS),20000) $(PYTHON) -m pytest -q --timeout 3600 tests/unit/stream/test_mutated_certificates.py

fuzz-decrypt: environment ## Open 20,000 mutated files with sluice decrypt (MUTATIONS=n)
	SLUICE_TEST_MUTATIONS=$(or $(MUTATIONS),20000) $(PYTHON) -m pytest -q --timeout 7200 tests/unit/client/test_mutated_files.py

fuzz-filters: environment ## Compare 2,000 random filters with an independent evaluator (FILTERS=n for each type)
	SLUICE_TEST_FILTERS=$(or $(FILTERS),1000) $(PYTHON) -m pytest -q --timeout 3600 tests/integration/stream/test_filters.py

chaos-hostile: environment ## Attack the running system with hostile requests (ARGUMENTS=--help lists the sizes)
	@$(PYTHON) -m tests.chaos.hostile $(ARGUMENTS)

bench-eta: environment ## Compare the estimated time remaining with tqdm and rich on synthetic traces
	@$(PYTHON) -m tests.bench.eta $(ARGUMENTS)

bench-history: environment ## Measure the run log, the estimates and their API (ARGUMENTS=--help lists the sizes)
	@$(PYTHON) -m tests.bench.history $(ARGUMENTS)

bench-delivery: environment ## Deliver through a storm of faults, beside a dead destination, beside rclone and sftp
	@$(PYTHON) -m tests.bench.delivery $(ARGUMENTS)

bench-api: environment ## Compare the job API with a bare route on the same PostgreSQL
	@$(PYTHON) -m tests.bench.api $(ARGUMENTS)

bench-pages: environment ## Measure the Jobs page with 10,000 jobs: first byte, size, a slow network; the last line is JSON
	@$(PYTHON) -m tests.bench.pages $(ARGUMENTS)

screenshots: environment ## Write screenshots of every page, light and dark and in four sizes, to ./screenshots (FOLDER=...)
	@$(PYTHON) -m tests.bench.pages.screenshots $(or $(FOLDER),screenshots)
