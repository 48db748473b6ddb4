# The commands of this project. `make help` lists them; each does all of its own set-up.

PYTHON ?= python3
PORT ?= 8000
export PORT

VENV := .venv/bin
BIN := $(CURDIR)/var/tools/bin

.DEFAULT_GOAL := help
.PHONY: help run manage test test-deep lint format lock bench setup

help: ## this list
	@sed -n 's/^\([a-z]*\): ## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|' 2>/dev/null || \
	 sed -n 's/^\([a-z]*\): ## \(.*\)/  make \1    \2/p' $(firstword $(MAKEFILE_LIST))

run: ## everything set up, then the dashboard on http://127.0.0.1:8000 (PORT=… for another)
	@$(PYTHON) -m tools.environment run
	@$(VENV)/python -m tools.run

manage: ## a command of manage.py with the settings of make run (ARGS="refresh_index --rebuild")
	@$(PYTHON) -m tools.environment run
	@$(VENV)/python -m tools.manage $(ARGS)

test: ## everything set up, then every test, on SQLite and PostgreSQL (ARGS=… goes to pytest)
	@$(PYTHON) -m tools.environment development
	@$(PYTHON) -m tools.packages tests
	@PATH="$$PATH:$(BIN)" $(VENV)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder $(ARGS)
	@$(if $(ARGS),,PATH="$$PATH:$(BIN)" $(VENV)/python -m tools.postgres)

test-deep: ## the random tests of deletion with 20 times as many examples (about half an hour)
	@$(PYTHON) -m tools.environment development
	@$(PYTHON) -m tools.packages tests
	@PATH="$$PATH:$(BIN)" TEST_DEEP=20 $(VENV)/python -m pytest -n 2 tests/contract/test_deletion_model.py tests/unit/storage/test_storage_histories.py $(ARGS)

lint: ## style, types, the order of imports, templates
	@$(PYTHON) -m tools.environment development
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-logo
	$(VENV)/djlint --lint --quiet templates

format: ## rewrites the code as lint wants it
	@$(PYTHON) -m tools.environment development
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

lock: ## versions and hashes of requirements*.in written anew (UPGRADE=1 for the newest)
	@$(PYTHON) -m tools.environment development
	@$(VENV)/python -m tools.lock $(if $(UPGRADE),--upgrade)

bench: ## what scan, index and lists cost, as ratios within one run (ARGS="index lists")
	@$(PYTHON) -m tools.environment development
	@$(PYTHON) -m tools.packages tests
	@$(VENV)/python -m benchmarks $(ARGS)

setup: ## what `make test` needs, without running a test
	@$(PYTHON) -m tools.environment development
	@$(PYTHON) -m tools.packages tests
