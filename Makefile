# make run     start the server on its defaults and say how to use it
# make test    lint, types and every test
# make watch   watch a board of the running server: TOPIC=…  URL=…
# make bench   measure the fan-out
# make clean   remove what the others made

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# In this mode setuptools puts the checkout itself on the path, where twistd finds twisted/plugins.
EDITABLE := --config-settings editable_mode=compat --editable

.PHONY: run test lint types unit watch bench clean

run: .venv/run
	@$(BIN)/python demo/run.py $(if $(CONFIG),--config $(CONFIG))

watch: .venv/run
	@$(BIN)/python demo/watch.py $(TOPIC) $(URL)

test: lint types unit

lint: .venv/test
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: .venv/test
	$(BIN)/mypy

unit: .venv/test node_modules/.ready
	$(BIN)/pytest --cov --cov-report=term:skip-covered --cov-fail-under=95
	$(BIN)/coverage report --include='tuleaprt/wamp/*,tuleaprt/tuleap/*' --fail-under=100 --format=total

bench: .venv/run
	$(BIN)/python benchmarks/fanout.py $(BENCH)

.venv/bin/pip:
	@.ci/require run
	@$(PYTHON) -m venv .venv

.venv/run: setup.cfg constraints.txt | .venv/bin/pip
	@echo "installing what the server needs into .venv"
	@$(PIP_INSTALL) $(EDITABLE) .
	@touch $@

.venv/test: setup.cfg constraints.txt | .venv/bin/pip
	@.ci/require test
	@echo "installing what the tests need into .venv"
	@$(PIP_INSTALL) $(EDITABLE) '.[test]'
	@touch $@ .venv/run

# Autobahn's package asks for Node 22; it runs on 18 and 20 with the WebSocket of package ws.
node_modules/.ready: package.json package-lock.json | .venv/test
	@echo "installing autobahn-js into node_modules"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

clean:
	rm -rf .venv .run node_modules *.egg-info build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache
