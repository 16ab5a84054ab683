# Needs Python 3.11 or newer with venv, and GNU make. Type:
#   make setup      a virtual environment in .venv with everything but torch
#   make            tests, lint, types, docs check
#   make bench      how good and how fast the chip is, beside libgme
#   make exports    composed music through every chip format
#   make hostile    damaged files into the command line
#   make kills      builds that are killed, and builds of damaged files
#   make pygame-ce  the tests of live music, with pygame-ce instead of pygame
#   make build      the eight tracks of examples/quickstart into pack/
PYTHON ?= .venv/bin/python

.PHONY: all setup test lint types docs docs-check bench exports hostile kills pygame-ce build train export wheel clean

all: test lint types docs-check

setup:
	python3 -m venv .venv
	.venv/bin/pip install --quiet -e ".[dev]"

test:
	$(PYTHON) -m pytest

lint:
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

docs:  ## write the generated parts of docs/ anew
	$(PYTHON) tests/test_docs.py

docs-check:
	$(PYTHON) -m pytest -q tests/test_docs.py

bench:
	for file in tests/benchmarks/bench_*.py; do $(PYTHON) $$file || exit 1; done

exports:  ## every chip export of 24 composed tracks, register by register and by ear; some ten minutes
	$(PYTHON) tests/benchmarks/check_exports.py --tracks 24

hostile:  ## five thousand damaged files into the command line; some four minutes
	$(PYTHON) tests/benchmarks/hostile.py --files 5000 --no-largest

kills:  ## fifty builds killed with -9, pairs at once, three hundred damaged files; some fifteen minutes
	$(PYTHON) tests/benchmarks/kill_builds.py
	$(PYTHON) tests/benchmarks/hostile_builds.py

pygame-ce:  ## an environment of its own: pygame and pygame-ce cannot be together in one
	python3 -m venv .venv-ce
	.venv-ce/bin/pip install --quiet . pygame-ce pytest pytest-randomly hypothesis mido pyinstaller
	.venv-ce/bin/python -m pytest -q tests/test_play*.py tests/test_demo_game.py tests/test_examples.py tests/test_sfx.py

build:
	$(PYTHON) -m nesasset build -m examples/quickstart/nesasset.toml -o pack

train:  ## needs the extra "train" and the data; see export/
	$(PYTHON) -m export.train

export:  ## PyTorch to ONNX, then compare the two
	$(PYTHON) -m export.to_onnx
	$(PYTHON) -m export.verify

wheel:
	$(PYTHON) -m hatchling build -t wheel

clean:
	rm -rf build dist pack .pytest_cache .mypy_cache .ruff_cache .hypothesis nesasset/apu/_fast.*.so
