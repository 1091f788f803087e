# payoff: `make demo` shows it, `make test` proves it, `make check` proves the rest. Each sets itself up.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check lint types floors docs slow kinds heavies heavy bench lock clean

setup: .venv/ready

.venv/ready: requirements/dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "payoff needs Python 3.11 or newer; choose one with: make PYTHON=python3.x")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes --requirement requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/payoff demo $(ARGS)

test: setup
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not kinds and not heavy" --ignore tests/docs

check: lint types floors docs slow kinds heavies

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

floors: setup
	$(BIN)/lint-imports

docs: setup
	$(BIN)/pytest -n 2 --dist load tests/docs

slow: setup
	$(BIN)/pytest -n 2 --dist loadfile -m slow

# Every kind of artefact, made by its own library in an environment of its own. The environments stay in .environments.
kinds: setup
	$(BIN)/pytest -n 2 --dist loadgroup -m kinds tests/kinds

# One or two of each heavy framework; `make heavy` tries all that is known of them.
heavies: setup
	$(BIN)/pytest -n 2 --dist loadgroup -m "heavy and not more" tests/kinds

heavy: setup
	$(BIN)/pytest -n 2 --dist loadgroup -m heavy tests/kinds

# One case of benchmarks/: `make bench CASE=door ARGS=...`. Rivals have environments of their own, in .environments.
bench: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python -m benchmarks.$(CASE) $(ARGS)

# New versions: writes the lock without naming any package index.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--extra demo --group dev pyproject.toml --output-file requirements/dev.lock \
		--custom-compile-command "make lock"

clean:
	rm -rf .venv .environments .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
