# Two commands do all set-up on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

# What the product (PRODUCT) runs with on this machine: a lock of its own, if it needs more than others.
HOST_LOCK := $(or $(wildcard requirements/$(PRODUCT)-host.txt),requirements-host.txt)
RUNTIME := $(VENV)/.runtime$(if $(filter requirements/%,$(HOST_LOCK)),-$(PRODUCT))

# A file's tests run in one process, one after the other: they share what was started for them.
PYTEST := $(RUN) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Hundreds of processes are started; what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

# Tests make thousands of small stores, each of which waits for its disk. Where memory has 4 GB for files, they are there.
export PYTEST_DEBUG_TEMPROOT ?= $(shell [ -w /dev/shm ] && df -Pk /dev/shm | awk 'END { if ($$4 > 4e6) print "/dev/shm" }')

# Checkers of Terraform and Cloud Build, if they are there: tests/infra/test_tools.py.
export INFRA_TOOLS ?= $(wildcard ../shared/tools)

.PHONY: install demo run test proof browser shots check soak mutants bench bench-quick clean generated deploy-check lock smoke

# The story of a day: phones, a red case, its analysis, and a console that shows it. Needs nothing but Python 3.11.
demo: $(RUNTIME)
	$(RUN) -m infra.local.demo

# What the back end needs to run, in .venv: for a clinic's own server (docs/self-hosting.md).
install: $(RUNTIME)

# Leaves the stack up, with example data and a token to paste.
run: $(RUNTIME)
	$(RUN) -m infra.local --seed

# Style, types and tests, with the emulators where they are installed: minutes.
test: $(VENV)/.dev
	$(RUN) -m infra.ci.check
	$(PYTEST) --durations=10

# The tests that are left: kills, planted faults, fleets, stories on the emulators, processes; and all properties
# again, with more examples. Half an hour. One more process than there are cores, up to four: most of them wait for
# others.
proof: $(VENV)/.dev
	TEST_EXAMPLES=100 $(PYTEST) --numprocesses $$(($$(nproc) + 1)) -m '(proof or hypothesis) and not soak'

# Debian's Chromium, for the console's tests in a browser, if it is missing and we may install it.
browser:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-noto-core >/dev/null; \
	  else echo "Chromium is missing, and only root may install it: apt-get install chromium"; fi; }

# A picture of every page of the consoles and of the example app, in .build/shots; sixteen of them go to docs/pictures with
# make shots SHOTS=docs/pictures.
shots: $(VENV)/.dev browser
	$(RUN) -m tests.console.browser.shots $(SHOTS)
	$(RUN) -m tests.mobile.shots $(SHOTS)
	$(RUN) -m tests.hemoday.shots $(SHOTS)
	$(RUN) -m tests.medmind.shots $(SHOTS)
	$(RUN) -m tests.buildtrace.shots $(SHOTS)

# Campaigns with seeds of their own, and whether memory grows. Takes hours.
soak: $(VENV)/.dev
	$(RUN) -m pytest -m soak
	$(RUN) -m benchmarks.load --minutes 30

# Changes line after line of the modules that pyproject.toml names, and counts the changes that no test notices:
# not more than tests/reliability/README.md says. Takes hours; of one module less:
# make mutants MUTANTS='shared.sync.conflict.*'. Its tool has a folder of its own: no test needs it.
mutants: $(VENV)/.dev
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --upgrade --target .build/mutmut mutmut==3.8.1
	PYTHONPATH=.build/mutmut $(RUN) -m mutmut run $(if $(MUTANTS),'$(MUTANTS)')
	PYTHONPATH=.build/mutmut $(RUN) -m mutmut results --all true | $(RUN) -m tests.reliability.mutants

# Ours beside the floor and beside peers: up to 20 minutes. Leave the machine alone meanwhile.
bench: $(VENV)/.dev
	$(RUN) -m benchmarks

# The same in small, nothing is stored.
bench-quick: $(VENV)/.dev
	$(RUN) -m benchmarks --quick

# Style and types alone.
check: $(VENV)/.dev
	$(RUN) -m infra.ci.check

# Everything about a deployment that can be known without the cloud; packs what would be deployed.
deploy-check: $(VENV)/.dev
	$(RUN) -m infra.ci.check
	$(RUN) -m infra.ci.compatible
	$(RUN) -m infra.ci.package
	$(RUN) -m pytest -m 'not soak' tests/infra

# After an apply: is it up, and closed to strangers? Asks Terraform where it is. With SMOKE_EMAIL it asks the
# password, pushes one red case and waits for its analysis: Pub/Sub, indexes, secrets, model and the way back.
smoke: $(VENV)/.runtime
	$(RUN) -m infra.ci.smoke --terraform terraform $(if $(SMOKE_EMAIL),--log-in $(SMOKE_EMAIL) --red-case)

# Files made from the declarations and settings.
generated: $(VENV)/.dev
	$(RUN) -m infra.env_example > .env.example
	$(RUN) -m infra.openapi > infra/openapi.json
	PRODUCT=hemoday $(RUN) -m infra.openapi --compact > shared/products/hemoday/openapi.json
	PRODUCT=medmind $(RUN) -m infra.openapi --compact > shared/products/medmind/openapi.json
	PRODUCT=buildtrace $(RUN) -m infra.openapi --compact > shared/products/buildtrace/openapi.json
	$(RUN) -m infra.schema_js > infra/schema.js
	$(RUN) -m infra.indexes > infra/firestore.indexes.json
	$(RUN) -m infra.indexes --collections > infra/collections.json
	$(RUN) -m infra.numbers > infra/numbers.sql
	$(RUN) -m shared.products.dermadetect.analysis.schema > docs/ai-analysis.schema.json
	$(RUN) -m infra.ci.words --write
	$(RUN) -m infra.messages
	$(RUN) -m infra.kit

# Pins what pyproject.toml asks for, and all that it brings, with hashes. Needs an index of packages.
lock: $(VENV)/.runtime
	$(PYTHON) -m venv .build/lock
	.build/lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	$(RUN) -m infra.ci.lock .build/lock/bin/uv $(if $(UPGRADE),--upgrade)

$(VENV)/.runtime: requirements-host.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-host.txt
	touch $@

$(VENV)/.runtime-%: requirements/%-host.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) .data mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis
