# make train   set up, train on the embedded corpus, track the run, write the model
# make test    set up, run the tests
# make test-cluster    the same for Spark and dask, in an environment of their own; Spark needs Java 17
PYTHON ?= python3
VENV := .venv
BIN = $(VENV)/bin

.PHONY: train test test-cluster lint bench fuzz lock readme checksums clean
.DELETE_ON_ERROR:

train: .venv/runtime
	$(BIN)/imr train

test: .venv/dev
	$(BIN)/python -m pytest

test-cluster: VENV := .venv-cluster
test-cluster: .venv-cluster/cluster
	$(BIN)/python -m pytest tests/test_spark.py tests/test_cluster.py

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# speed and memory against floors, rivals and targets: .bench/bench.json, a table, an MLflow run; BENCH=--help
bench: .venv/dev
	PYTHONPATH=tests$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/python -m bench $(BENCH)

# bounded: each target so many seconds
FUZZ_SECONDS ?= 120
fuzz: .venv/dev
	for target in parse sources predict; do \
		$(BIN)/python tests/fuzzing/targets.py $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; done

# writes the hashed requirements anew; no address is recorded
lock: .venv/dev
	$(BIN)/pip install --quiet uv
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --group build $(COMPILE) -o requirements.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --group build --group dev \
		--extra notebook --extra pdf --constraint requirements.txt $(COMPILE) -o requirements-dev.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --group build --group dev \
		--all-extras --constraint requirements-dev.txt $(COMPILE) -o requirements-cluster.txt
COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate

# the tables in the Markdown files, from model, labels and corpus
readme: .venv/dev
	$(BIN)/python -m imr_rationale.serving.markdown README.md data/README.md models/README.md

checksums:
	cd data && sha256sum corpus/*.txt heldout/*.txt > SHA256SUMS

clean:
	rm -rf .venv .venv-cluster

.venv/bin/python .venv-cluster/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# the package is installed without its dependencies: those come from the hashed file alone
define install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
endef

.venv/runtime: requirements.txt pyproject.toml | .venv/bin/python
	@echo "installing into .venv (a few minutes the first time)"
	$(call install,requirements.txt)

.venv/dev: requirements-dev.txt pyproject.toml | .venv/bin/python
	@echo "installing into .venv (a few minutes the first time)"
	$(call install,requirements-dev.txt)
	touch .venv/runtime

.venv-cluster/cluster: requirements-cluster.txt pyproject.toml | .venv-cluster/bin/python
	@echo "installing into .venv-cluster (a few minutes the first time)"
	$(call install,requirements-cluster.txt)
