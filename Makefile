# payoff: `make demo` shows it, `make test` proves it, `make check` proves the rest. Each sets itself up.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n 3 --dist loadgroup
QUICK := not slow and not docs and not kinds and not heavy

.PHONY: setup demo test check proofs lint types floors docs slow kinds heavies heavy bench lock clean

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
	$(PYTEST) -m "$(QUICK)" --ignore tests/docs --ignore tests/kinds

# Types need one core and minutes; the tests go on beside them.
check: setup
	$(MAKE) --jobs 2 --output-sync=line lint types floors proofs

# Every test that `make test` leaves out but `more`, in one run, so that no core waits for the end of a part.
proofs: setup
	$(PYTEST) --no-loadscope-reorder -m "not ($(QUICK)) and not more" tests/walks tests/kinds tests

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

floors: setup
	$(BIN)/lint-imports

docs: setup
	$(PYTEST) tests/docs

slow: setup
	$(PYTEST) -m slow

# Every kind of artefact, made by its own library in an environment of its own. The environments stay in .environments.
kinds: setup
	$(PYTEST) -m kinds tests/kinds

# One or two of each heavy framework; `make heavy` tries all that is known of them.
heavies: setup
	$(PYTEST) -m "heavy and not more" tests/kinds

heavy: setup
	$(PYTEST) -m heavy tests/kinds

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
