# Two commands are all it takes on a fresh machine: `make serve` and `make test`.
# Written for GNU make 3.81 and later (macOS has 3.81) and a POSIX shell.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve test browser-test screenshots messages fuzz test-all-pythons lint typecheck format migrate constraints clean

# Goes to the command behind the target: make serve ARGS="http_port=7001", make test ARGS="-k email".
ARGS ?=
# The Python to make .venv with. Empty: the first usable one of python3, python3.14 ... python3.11.
PYTHON ?=
# The Pythons that test-all-pythons and constraints look for.
PYTHONS ?= 3.11 3.12 3.13 3.14

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCALE := authapp/locale

# Settings of the caller's shell that are meant for some other Python.
unexport PYTHONHOME
unexport PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore

help: ## Show this help
	@echo "Usage: make TARGET [ARGS=\"...\"] [PYTHON=...]"
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' Makefile

serve: $(INSTALLED) ## Migrate and serve for development; ARGS="http_port=7001" picks a port
	@$(BIN)/alembic -c development.ini upgrade head
	@echo "authapp starts on http://localhost:$(HTTP_PORT) (Ctrl-C stops it)"
	@exec $(BIN)/pserve --reload development.ini $(ARGS)

test: $(INSTALLED) ## Run the test suite without the browser; ARGS="-k email" picks tests
	@$(BIN)/python -m pytest -m "not browser" --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

browser-test: $(INSTALLED) ## Run the tests that drive Chromium
	@$(NEED_CHROMIUM)
	@$(BIN)/python -m pytest -m browser $(ARGS)

screenshots: $(INSTALLED) ## Take pictures of every page, in test-results/screenshots and docs/img
	@$(NEED_CHROMIUM)
	@$(BIN)/python -m pytest tests/browser/screenshots.py $(ARGS)
	@echo "test-results/screenshots has every page, docs/img those of the README"

fuzz: $(INSTALLED) ## Send 100,000 forged and garbled cookies, which takes a minute
	@AUTHAPP_FUZZ_COOKIES=100000 $(BIN)/python -m pytest --timeout 1200 tests/fuzz $(ARGS)

test-all-pythons: ## Run the test suite on every Python of 3.11 to 3.14 found here
	@tested= failed=; \
	for version in $(PYTHONS); do \
	    $(FIND_VERSION); \
	    if [ -z "$$python" ]; then echo "Python $$version: not found"; continue; fi; \
	    echo "Python $$version: $$python"; tested="$$tested $$version"; \
	    $(MAKE) --no-print-directory test VENV=".venvs/$$version" PYTHON="$$python" \
	        || failed="$$failed $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed on Python$$failed" >&2; exit 1; fi; \
	if [ -z "$$tested" ]; then echo "found no Python of $(PYTHONS)" >&2; exit 1; fi; \
	echo "passed on Python$$tested"

lint: $(INSTALLED) ## Check style, likely bugs and formatting
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

typecheck: $(INSTALLED) ## Check types
	@$(BIN)/mypy

format: $(INSTALLED) ## Format the code and mend what can be mended safely
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

messages: $(INSTALLED) ## Gather all messages, bring the catalogues up to date and compile them
	@$(BIN)/pybabel --quiet extract -F babel.cfg -k N_ --no-location --sort-output --omit-header \
	    --output $(LOCALE)/authapp.pot .
	@$(BIN)/pybabel --quiet update -D authapp -d $(LOCALE) -i $(LOCALE)/authapp.pot \
	    --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 100
	@$(BIN)/pybabel compile -D authapp -d $(LOCALE) --statistics

migrate: $(INSTALLED) ## Migrate the development database; ARGS="downgrade -1" steps back
	@$(BIN)/alembic -c development.ini $(or $(ARGS),upgrade head)

constraints: ## Renew constraints.txt with the newest releases that setup.py allows
	@work=$$(mktemp -d) || exit 1; trap 'rm -rf "$$work"' EXIT; trap 'exit 1' HUP INT TERM; \
	: > "$$work/pins"; \
	for version in $(PYTHONS); do \
	    $(FIND_VERSION); \
	    if [ -z "$$python" ]; then echo "Python $$version: not found"; continue; fi; \
	    echo "Python $$version: $$python"; \
	    "$$python" -m venv "$$work/$$version" || exit 1; \
	    "$$work/$$version/bin/python" -m pip install --quiet --dry-run --ignore-installed \
	        --python-version "$$version.0" --only-binary :all: --target "$$work/none" \
	        -c "$$work/pins" --report "$$work/report" ".[dev]" || exit 1; \
	    "$$python" -c '$(TO_PINS)' "$$work/report" >> "$$work/pins" || exit 1; \
	    LC_ALL=C sort -fu "$$work/pins" -o "$$work/pins" || exit 1; \
	done; \
	if ! [ -s "$$work/pins" ]; then echo "found no Python of $(PYTHONS)" >&2; exit 1; fi; \
	{ echo "# Exact versions for development and CI, for all supported Pythons together."; \
	  echo "# Made by \`make constraints\`: do not edit."; \
	  cat "$$work/pins"; } > constraints.txt

clean: ## Remove what make and the tools made; var/, the development data, stays
	@rm -rf .venv .venvs build dist *.egg-info test-results
	@rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find authapp tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The rest is how the virtual environment is made.

define NEED_CHROMIUM
command -v chromium >/dev/null || { \
    echo "chromium is missing. On Debian: apt-get install chromium" >&2; exit 1; }
endef

# Sets $python to a usable Python of the version $version, from PATH or from pyenv, or to nothing.
# pyenv's shims are on PATH also for versions that are switched off: so each candidate is run.
define FIND_VERSION
python=; \
for candidate in "python$$version" "$$HOME/.pyenv/versions/$$version".*/bin/python; do \
    if "$$candidate" -c '$(IS_USABLE)' 2>/dev/null; then python=$$candidate; break; fi; \
done
endef

# New enough, and able to make virtual environments, which Debian packages separately.
IS_USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

# The pins from a report of pip's. It resolves for the first release of each Python: packages may ask
# for a later one (>=3.11.5), and Debian 12 has 3.11.2.
TO_PINS := import json, sys; report = json.load(open(sys.argv[1])); \
    print(*("{name}=={version}".format(**item["metadata"]) \
    for item in report["install"] if not item["is_direct"]), sep="\n")

# http_port from ARGS, else from the environment, else the default in development.ini.
DEFAULT_PORT = $(shell sed -n 's/^listen = .*{http_port:-\([0-9]*\)}.*/\1/p' development.ini)
HTTP_PORT = $(or $(patsubst http_port=%,%,$(filter http_port=%,$(ARGS))),$(http_port),$(DEFAULT_PORT))

# The last thing written into the environment is the stamp, with the place and the Python that it was
# made for. Without a valid one, after an interruption, a move of the checkout or the loss of its
# Python, the environment is made anew. With an old one it is brought up to date.
WHOSE := "$(BIN)/python" -I -c 'import sys; print(sys.prefix, *sys.version_info[:2])'
FORGET_IF_INVALID := $(shell test ! -e "$(INSTALLED)" || test "$$($(WHOSE) 2>&1)" = "$$(cat "$(INSTALLED)")" || rm -f "$(INSTALLED)")

$(INSTALLED): setup.py pyproject.toml constraints.txt
	@if [ -e $@ ]; then rm -f $@; exit; fi; \
	rm -rf $(VENV); \
	for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
	    if "$$python" -c '$(IS_USABLE)' 2>/dev/null; then \
	        echo "Making $(VENV) with $$("$$python" --version) ..."; \
	        "$$python" -m venv $(VENV); exit; \
	    fi; \
	done; \
	echo "authapp needs Python 3.11 or later with its modules venv and ensurepip, and found none:" >&2; \
	echo "tried $(or $(PYTHON),python3 and python3.14 to python3.11). On Debian and Ubuntu install python3-venv," >&2; \
	echo "or name another Python: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1
	@echo "Installing the dependencies into $(VENV), which takes a minute the first time ..."
	@$(BIN)/python -m pip install --quiet -c constraints.txt setuptools
	@$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e ".[dev]"
	@$(WHOSE) > $@
