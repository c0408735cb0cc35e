# Two commands: `make run` serves the checkout, `make test` runs everything CI runs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test lint unit browser database clean

run: .venv/run
	@echo "run: serving http://$${CHECKOUT_HOST:-127.0.0.1}:$${CHECKOUT_PORT:-8000} (Ctrl+C stops)"
	@exec $(BIN)/gunicorn -c gunicorn.conf.py wsgi:app

test: .venv/test browser database lint unit

.venv/created:
	@echo "setup: creating .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run: .venv/created requirements.txt constraints.txt
	@echo "setup: installing what the checkout needs (the first time takes some minutes)"
	@$(PIP) -r requirements.txt
	@touch $@

.venv/test: .venv/run requirements-dev.txt requirements-postgresql.txt \
    requirements-portone.txt requirements-export.txt
	@echo "setup: installing what the tests need"
	@$(PIP) -r requirements-dev.txt
	@touch $@

browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || { \
	  echo "setup: installing Chromium for the browser tests"; \
	  if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; \
	  else echo "error: no Chromium; install it (apt-get install chromium) and run again"; exit 2; fi; }

database:
	@command -v postgres >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || { \
	  echo "setup: installing PostgreSQL for the database tests"; \
	  if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	  else echo "error: no PostgreSQL; install it (apt-get install postgresql) and run again"; exit 2; fi; }

lint:
	@echo "lint: ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@echo "lint: mypy"
	@$(BIN)/mypy --no-error-summary
	@echo "lint: import-linter"
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

# The model's tests run beside the others, and step back for them: those drive real servers and
# browsers, and what failed of those while the machine was busy is tried once more when it is not.
unit:
	@echo "test: pytest"
	@mkdir -p artifacts; rest=0; model=0; \
	nice -n 19 $(BIN)/python -m pytest -q -o cache_dir=.pytest_cache/model tests/model \
	  >artifacts/model-tests.log 2>&1 & pid=$$!; \
	$(BIN)/python -m pytest -q --ignore=tests/model || rest=$$?; \
	wait $$pid || model=$$?; cat artifacts/model-tests.log; \
	if [ $$rest = 1 ]; then rest=0; \
	  echo "test: what failed, once more"; \
	  $(BIN)/python -m pytest -q --last-failed --ignore=tests/model || rest=$$?; fi; \
	exit $$((rest | model))

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache artifacts
