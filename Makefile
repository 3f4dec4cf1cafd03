# make run     start the server on its defaults with a live page, and say how to use them; NODES=3 for three servers on one Redis
# make test    lint, types, the documentation and every test
# make quick   lint, types and the tests that need no process, network or browser
# make docs    the documentation as web pages, in build/docs
# make fuzz    send random input to the server for much longer than make test does
# make watch   watch a board of the running server: TOPIC=…  URL=…
# make post    post to the running server what Tuleap posts when a card is created: FILE=…  URL=…
# make bench   measure CPU, latency and memory: FULL=1 for medians of three and a plot, PEER=… for another router,
#              PEERS="nats mosquitto uws" for those beside tuleaprt that are installed; uws needs UWS=FILE, as PEER=;
#              JOURNAL=all for posts with each journal and for several servers
# make soak    ten minutes under load with restarts, every delivery checked: SOAK='--seconds 60 --seed 7'; NODES=3 for three
#              servers on one Redis that are killed all the time: SOAK='SOAK_SECONDS=60 SOAK_SEED=7'
# make deb     a Debian package in dist: FOR=python3.11, the Python of the target
# make rpm     an RPM for Enterprise Linux 9 in dist: FOR=python3.11
# make packages  both, and what they do in a fresh root: it needs root, and takes five minutes
# make clean   remove everything that the other targets have made

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# In this mode setuptools puts the checkout itself on the path, so that twistd finds twisted/plugins.
EDITABLE := --config-settings editable_mode=compat --editable

INSTALLED := setup.cfg setup.py constraints.txt tuleaprt/transport/_sending.c

.PHONY: run test quick lint types docs unit fuzz watch post bench soak deb rpm packages clean

# The server does not need Node. The live page needs autobahn-js and socket.io-client: npm fetches them, or a message says
# what to install.
run: .venv/run $(if $(NODES),.venv/redis)
	@$(BIN)/python -m $(if $(NODES),demo.nodes $(NODES),demo.run $(if $(CONFIG),--config $(CONFIG)))

watch: .venv/run
	@$(BIN)/python -m tuleaprt watch $(or $(TOPIC),org.tuleap.kanban.3) $(if $(URL),--url $(URL)) \
		$(if $(TICKET),,--ticket-file .run/ticket)

post: .venv/run
	@$(BIN)/python -m tuleaprt post $(or $(FILE),tests/fixtures/tuleap/wire/kanban_item_create.body) \
		$(if $(CONFIG),--config $(CONFIG)) $(if $(URL),--url $(URL))

test: lint types docs unit

lint: .venv/test
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: .venv/test
	$(BIN)/mypy

# Warnings are errors. Forges and package indexes render the files of the top folder with docutils only.
docs: .venv/test
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs
	@for file in README NEWS CONTRIBUTING; do $(BIN)/docutils --halt=warning $$file.rst build/docs/$$file.html || exit 1; done

quick: lint types
	$(BIN)/pytest --quiet tests/wamp tests/tuleap tests/socketio tests/relay tests/journal tests/test_layers.py

# The tests mostly wait for servers and browsers, so there are more workers than processors. The tests of a file
# share the servers and browsers that it starts, so a file stays on one worker. The slow files come first: at the end,
# one of them would keep all other workers waiting.
SLOW := $(addprefix tests/,browser cli packaging end_to_end interop demo benchmarks docs client takeover)
unit: .venv/test .venv-interop/.ready node_modules/.ready client/dist/tuleaprt-client.js
	$(BIN)/pytest --numprocesses=$$((2 * $$(nproc))) --dist=loadfile --no-loadscope-reorder --cov \
		--cov-report=term:skip-covered --cov-fail-under=95 $(SLOW) tests
	TULEAPRT_COMPILED=0 $(BIN)/pytest --quiet tests/transport tests/end_to_end/test_delivery.py
	$(BIN)/coverage report --include='tuleaprt/wamp/*,tuleaprt/tuleap/*,tuleaprt/socketio/*' --fail-under=100 --format=total

fuzz: .venv/test
	$(BIN)/pytest tests/fuzz --hypothesis-profile=fuzz

bench: $(if $(FULL),.venv/bench,.venv/run) $(if $(JOURNAL),.venv/redis)
	@.ci/require bench
	$(BIN)/python $(if $(JOURNAL),benchmarks/journals.py "$(JOURNAL)" $(BENCH),benchmarks/bench.py $(if $(FULL),--full) $(if $(PEER),--peer $(PEER)) $(if $(PEERS),--peers "$(PEERS)") $(BENCH))

soak: $(if $(NODES),.venv/test,.venv/run)
	$(if $(NODES),SOAK_SECONDS=600 SOAK_BROWSERS=200 $(SOAK) $(BIN)/pytest --quiet -s tests/end_to_end/test_cluster.py -k killed,$(BIN)/python benchmarks/soak.py $(SOAK))

# pip of the checkout fetches the wheels; the Python of the target need not be here.
deb: .venv/bin/pip
	@.ci/require deb
	PIP=$(BIN)/pip package/deb/make $(or $(FOR),python3.11)

rpm: .venv/bin/pip
	@.ci/require rpm
	PIP=$(BIN)/pip package/rpm/make $(or $(FOR),python3.11)

# Not in make test, because it takes minutes. The packages are those for Debian 12 and Enterprise Linux 9.
packages: .venv/test
	@.ci/require packages
	rm -f dist/tuleaprt_*.deb dist/tuleaprt-*.rpm
	$(MAKE) deb rpm FOR=python3.11
	$(BIN)/pytest tests/packages

.venv/bin/pip:
	@.ci/require run
	@$(PYTHON) -m venv .venv

.venv/run: $(INSTALLED) | .venv/bin/pip
	@echo "installing what the server needs into .venv"
	@$(PIP_INSTALL) $(EDITABLE) .
	@touch $@

.venv/redis: $(INSTALLED) | .venv/bin/pip
	@echo "installing Redis's client into .venv"
	@$(PIP_INSTALL) $(EDITABLE) '.[redis]'
	@touch $@

.venv/test: $(INSTALLED) | .venv/bin/pip
	@.ci/require test
	@echo "installing what the tests need into .venv"
	@$(PIP_INSTALL) $(EDITABLE) '.[docs,redis,test]'
	@touch $@ .venv/run .venv/redis

.venv/bench: $(INSTALLED) | .venv/bin/pip
	@echo "installing what the benchmark's plot needs into .venv"
	@$(PIP_INSTALL) $(EDITABLE) '.[bench]'
	@touch $@ .venv/run

# A separate environment, so that the server is tested without the packages of other clients.
.venv-interop/.ready: tests/interop/requirements.txt constraints.txt | .venv/test
	@echo "installing xconn into .venv-interop"
	@$(PYTHON) -m venv .venv-interop
	@.venv-interop/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--requirement tests/interop/requirements.txt
	@touch $@

# Autobahn's package asks for Node 22. It runs on 18 and 20 with the WebSocket of package ws. The overrides are for
# wampy. Its command line runs on Node 18 with yargs 17. Its serializers' accelerators are in one package for each
# platform; some registries lack them, and then npm ci fails. The older ones are not built and stay unused.
node_modules/.ready: package.json package-lock.json | .venv/test
	@echo "installing autobahn-js, socket.io-client and the tools of the tests into node_modules"
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

client/dist/tuleaprt-client.js: client/build.mjs $(wildcard tuleaprt/web/static/client/*) | node_modules/.ready
	@node client/build.mjs
	@touch $@

clean:
	rm -rf .venv .venv-interop .run node_modules client/dist client/LICENSE *.egg-info build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f tuleaprt/transport/*.so
	rm -f twisted/plugins/dropin.cache benchmarks/*.json benchmarks/*.png
