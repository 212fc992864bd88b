# Everything runs in .venv, which the targets make themselves; nothing else is needed but Python.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?=
PARALLEL ?= -n auto --dist worksteal
QUICK ?=
URL ?=
BENCH ?=

SECONDS ?= 60

.PHONY: help demo test reliability fuzz bench docs dist-check check format lint types clean

help:
	@echo "make demo    run the main example on an embedded server"
	@echo "make test    run the whole test suite (TESTS='-k append' for a part)"
	@echo "make reliability  the long form of tests/reliability: faults, load, hostile input"
	@echo "make fuzz    atheris on location, codec, jsonpath and verbs, SECONDS=60 in all"
	@echo "make bench   measure everything beside its peers, write docs/performance.md (QUICK=1: try it)"
	@echo "make docs    build this documentation into docs/_build/html; a warning is an error"
	@echo "make dist-check  build wheel and sdist, install and try each in an empty environment"
	@echo "make check   format, lint, types, layers, tests, docs: what CI runs"
	@echo "make format  rewrite the sources in the project's format"
	@echo "make clean   remove what the targets made"

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/server: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[server]'
	@touch $@

.venv/test: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ .venv/server

.venv/lint: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[lint]'
	@touch $@ .venv/test .venv/server

demo: .venv/server
	$(BIN)/python examples/main_job.py $(FILE)

test: .venv/test
	$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

reliability: .venv/test
	RELIABILITY=full $(BIN)/python -m pytest tests/reliability $(TESTS)

.venv/fuzz: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@touch $@ .venv/test .venv/server

# The corpus grows below .fuzz; a finding is left there, with the bytes that show it.
fuzz: .venv/fuzz
	@for target in location codec jsonpath verbs; do \
		mkdir -p .fuzz/$$target || exit 1; \
		$(BIN)/python tests/reliability/fuzz $$target .fuzz/$$target -artifact_prefix=.fuzz/$$target- \
			-max_total_time=$$(( ($(SECONDS) + 3) / 4 )) -max_len=400 -print_final_stats=1 || exit 1; \
	done

.venv/bench: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	@$(BIN)/pip uninstall --quiet --yes types-redis  # comes with redis-om; its types are those of redis 4
	@touch $@ .venv/server

bench: .venv/bench
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(URL),--url $(URL)) $(BENCH)

.venv/docs: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: .venv/docs
	$(BIN)/python -m sphinx -E -W --keep-going -q docs docs/_build/html
	@echo "built: file://$(CURDIR)/docs/_build/html/index.html"

dist-check: .venv/made
	$(BIN)/pip install --quiet --disable-pip-version-check build twine
	$(BIN)/python tests/dist_check.py

format: .venv/lint
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: .venv/lint
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: .venv/lint
	$(BIN)/mypy
	$(BIN)/basedpyright

check: lint types test docs

clean:
	rm -rf .venv .fuzz tests/node/node_modules build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
