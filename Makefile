# Every target does its own set-up in .venv; it takes Python 3.11 or newer, and make.
.DEFAULT_GOAL := help
.PHONY: help demo test lint docs pictures bench-speed clean

# What other projects put into the environment must not reach this one's .venv.
unexport PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX

# The first interpreter that is new enough; to choose another: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt Makefile
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check \
	--only-binary :all: --constraint constraints.txt

# While an install is under way this file holds the number of the make that runs it.
UNFINISHED := $(VENV)/unfinished
OWNER := $(shell cat $(UNFINISHED) 2>/dev/null)
ifneq ($(OWNER),)
ifeq ($(shell kill -0 $(OWNER) 2>/dev/null && echo alive),alive)
$(error Another make (process $(OWNER)) is installing into $(VENV); wait until it is done)
endif
endif

# A .venv is made anew when its install was killed, when its Python is gone, and when it came
# along with a copy of this folder. It goes before make looks at the stamps inside.
SOUND = $(shell [ ! -e $(UNFINISHED) ] && $(BIN)/python -c \
	'import os; print("yes" * (open("$(VENV)/place").read() == os.getcwd()))' 2>/dev/null)
ifneq ($(wildcard $(VENV)),)
ifneq ($(SOUND),yes)
$(info Removing a broken $(VENV) ...)
$(shell rm -rf $(VENV))
endif
endif

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/core ## run an autonomous experiment on recorded data
	@$(BIN)/nanopilot demo

# One test process per core, so one thread in each. The `ci` profile makes hypothesis repeatable.
test: lint ## run every gate and every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --hypothesis-profile ci

lint: $(VENV)/dev ## check style, types and the borders between rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/dev ## build the documentation into docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

pictures: $(VENV)/dev ## draw the pictures of the documentation anew
	$(BIN)/python docs/make_pictures.py

bench-speed: $(VENV)/peers ## measure our kernels against those of others
	@$(BIN)/python -m benchmarks

# Runs stay: what users measured is theirs.
clean: ## remove what the other targets made
	rm -rf $(VENV) docs/_build docs/reference/rooms .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# $(call install,WHAT,EXTRA,FIRST): put the package with an extra into .venv, after the packages
# FIRST. The build backend is one of those, so that it is pinned and comes as a wheel too.
define install
@echo "Installing $(1) into $(VENV) (once; this can take minutes) ..."
@echo $$PPID > $(UNFINISHED)
@$(PIP) hatchling editables $(3)
@$(PIP) --no-build-isolation --editable '.$(2)'
@touch $@
@rm $(UNFINISHED)
endef

$(VENV)/core: $(INPUTS) | $(VENV)/place
	$(call install,nanopilot)

# The pinned torch comes first: with it in place nothing can bring in another.
$(VENV)/dev: $(INPUTS) | $(VENV)/place
	$(call install,the development tools,[dev],torch==2.13.0)

$(VENV)/peers: $(INPUTS) | $(VENV)/place
	$(call install,the peers,[peers],torch==2.13.0)

$(VENV)/place:
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.11 or newer here; name one: make PYTHON=..." >&2; exit 1; }
	@mkdir $(VENV) && echo $$PPID > $(UNFINISHED)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import os; open("$@", "w").write(os.getcwd())'
	@rm $(UNFINISHED)
