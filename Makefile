# Everything here needs Python 3.11 or later, make and a package index. `make test` and `make demo` install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-families test-real check bench bundle audit format clean

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable . --group dev
	touch $(READY)

demo: $(READY)  ## A local model answers through the Model Context Protocol.
	$(BIN)/mcp-server-mlx demo

check: $(READY)  ## Style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# A worker that died is not replaced: with --dist loadfile the tests that it had left may never be run, and the run not end.
test: check  ## Style, types and every test.
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --max-worker-restart 0

# On the CPU a long prompt takes minutes: more than the ordinary limit of a test.
test-real: $(READY)  ## Tests on real weights, which are fetched; skipped, with the reason, where they cannot be.
	$(BIN)/pytest tests/real -m real -rs --numprocesses auto --maxprocesses 2 --dist loadfile --max-worker-restart 0 -o faulthandler_timeout=600

test-families: $(READY)  ## Every family of models that the libraries know, with tiny random weights; writes docs/models.md.
	$(BIN)/python -m tests.families docs/models.md

bench: $(READY)  ## Ratios, each measured in one run; prints a table.
	$(BIN)/python -m tests.benchmarks

audit: $(READY)  ## Known vulnerabilities of what is installed, from the advisories of the Python Package Index.
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

bundle: $(READY)  ## The bundle for Claude Desktop, in dist/, and server.json.
	$(BIN)/python -m mcp_server.packaging dist

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
