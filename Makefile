# Two commands do everything on a fresh machine with Python 3.11+ and make: `make nightly` and `make test`.
.DELETE_ON_ERROR:
.PHONY: nightly test check bench ui schema lock clean

SUITS = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c '$(SUITS)' 2>/dev/null && echo $(p))))
BIN = .venv/bin
READY = .venv/ready

nightly: $(READY)
	$(BIN)/forewarn nightly

test: $(READY)
	$(BIN)/pytest -n auto --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# One table and one plot in out/bench: against what a team could pick instead (docs/benchmark.md). Minutes; with FULL=1,
# more questions for the slow, a hundred thousand series, and whole nights. PRIORS=DIR: priors that never saw their source.
bench: $(READY)
	$(BIN)/python tests/bench/accuracy.py --out out/bench $(if $(PRIORS),--priors $(PRIORS)) \
		$(if $(FULL),--nights 1000 --replicates 1000)
	$(BIN)/python tests/bench/throughput.py --out out/bench --sizes 1000 10000 $(if $(FULL),100000)
	$(BIN)/python tests/bench/sample_truth.py --out out/bench $(if $(PRIOR),--prior $(PRIOR))
	$(BIN)/python tests/bench/table.py out/bench
	$(if $(FULL),$(BIN)/python tests/bench/coverage.py)
	$(if $(FULL),$(BIN)/python tests/bench/nightly.py)

# Dagster's UI over the very history that `make nightly` wrote.
ui: $(READY)
	DAGSTER_HOME=$(CURDIR)/data/run/dagster $(BIN)/dg dev --host 127.0.0.1

schema: $(READY)
	$(BIN)/python -m pipelines.settings > data/settings.schema.json

# Universal over Python 3.11-3.13, with hashes, without an index address. Needs uv.
lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-strip-extras --no-header --quiet --output-file requirements.lock

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Forewarn needs Python 3.11, 3.12 or 3.13 with venv; name one: make PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf .venv data/run
