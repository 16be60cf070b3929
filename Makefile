# The commands people type. Each works from a clean clone, alone.

PYTHON ?= python3
# Passed on to the benchmark: make bench ARGS="--only readline,pread --rounds 3"
ARGS ?=

export PYTHON

# What make bench-guard compares with, instead of where this tree left main (on main: the commit before):
# make bench-guard BASE=HEAD~3
BASE ?=

.PHONY: help demo test test-all parity bench bench-scaling bench-plots bench-guard lint docs clean

help:
	@echo "make demo      build, install into .venv, and do the main job on this machine's own files"
	@echo "make test      formatting, linters, all tests on one Python, every engine, the examples"
	@echo "make test-all  the same on every Python here, with the long runs and the source distribution"
	@echo "make parity    the tests of aiofiles, downloaded, on this package"
	@echo "make bench     measure against io and the other libraries"
	@echo "make bench-scaling  how costs grow with file size, tasks, open files, line length; make bench-plots draws it"
	@echo "make bench-guard  count instructions against main (on main: the commit before; BASE=REF); fails at 5 % more"
	@echo "make lint      formatting and linters only"
	@echo "make docs      docs/reference from the docstrings and the command line's definitions, and the Rust documentation"
	@echo "make clean     remove what the others made"

demo:
	@buildtools/steps.sh demo

test:
	@buildtools/steps.sh test

test-all:
	@buildtools/steps.sh test-all

parity:
	@buildtools/steps.sh parity

bench:
	@buildtools/steps.sh bench $(ARGS)

bench-scaling:
	@buildtools/steps.sh bench-scaling $(ARGS)

bench-plots:
	@buildtools/steps.sh bench-plots $(ARGS)

bench-guard:
	@buildtools/steps.sh bench-guard --base "$(BASE)"

lint:
	@buildtools/steps.sh lint

docs:
	@buildtools/steps.sh docs

clean:
	rm -rf target .venv .bench dist .mypy_cache .pytest_cache .ruff_cache
