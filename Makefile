# One plain command a target; "make help" prints them.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
# tests that wait for other programs more than they compute
WAITING ?= 4
# of "make shifted": see tools/test-shifted.sh
LEG ?= all

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := arex plugins lrms infoprovider
SOURCES := $(PACKAGES) tests benchmarks tools
SCRIPTS := .ci/run $(wildcard tools/*.sh tools/clusters/*.sh lrms/jobscript/shell/*.sh)
RTES := $(shell find lrms/rte -type f)
PYTEST := $(BIN)/pytest
# parts of "make lint" that run side by side
CHECKS := types imports spelling english yaml shell

.DEFAULT_GOAL := help
.PHONY: help venv demo test check lint style $(CHECKS) shifted slurm sge condor interop faults fuzz compare bench docs man wheel generated clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(STAMP) ## Make the virtual environment .venv with everything that development needs

$(STAMP): pyproject.toml tools/venv.sh
	@sh tools/venv.sh "$(PYTHON)" "$(VENV)"
	@touch $@

demo: $(STAMP) ## Run a real job on this machine, in ./demo-run, and show what happened
	@sh tools/demo.sh "$(VENV)"

test: $(STAMP) ## Run all tests; installs the programs that they need
	sh tools/test-programs.sh
	$(PYTEST) -n $(JOBS) tests/unit tests/contract tests/extension tests/fuzz
	$(PYTEST) -n $(JOBS) --dist loadfile tests/integration tests/staging tests/browser
	$(PYTEST) -n $(WAITING) --dist loadfile -p no:randomly tests/interop
	AREX_FAULT_JOBS=60 AREX_FAULT_KILLS=4 AREX_CAMPAIGN_S=45 AREX_SWEEP_CALLS=120 $(PYTEST) -n $(JOBS) --dist worksteal tests/faults

check: lint ## What lint does, and unit tests with few examples each, in less than a minute
	$(PYTEST) -n $(JOBS) -q --hypothesis-profile=quick tests/unit

lint: style ## Style, types, imports, spelling, English, shell
	$(MAKE) --no-print-directory --output-sync -j $(JOBS) $(CHECKS)

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy $(SOURCES)

imports:
	$(BIN)/lint-imports

spelling:
	$(BIN)/codespell

english:
	$(BIN)/python tools/check-english.py

yaml:
	$(BIN)/yamllint --strict .

shell:
	sh tools/test-programs.sh shellcheck
	shellcheck $(SCRIPTS)
	shellcheck --shell=sh $(RTES)

shifted: $(STAMP) ## Tests on other dates, in other time zones and locales, beside another ARC, as root: LEG=+40d, LEG=all
	JOBS=$(JOBS) WAITING=$(WAITING) sh tools/test-shifted.sh "$(LEG)" "$(VENV)"

slurm: $(STAMP) ## Real SLURM, installed and started here as root: contract, ends, faults; again with slurmdbd
	sh tools/test-batch.sh slurm "$(VENV)"

sge: $(STAMP) ## The same with a real Grid Engine
	sh tools/test-batch.sh sge "$(VENV)"

condor: $(STAMP) ## The same with a real HTCondor
	sh tools/test-batch.sh condor "$(VENV)"

interop: $(STAMP) ## Real clients and a real A-REX of ARC 6.17 and 7 against ours, and the other way round
	sh tools/interop-setup.sh "$(VENV)"
	$(PYTEST) -n $(WAITING) --dist loadfile -p no:randomly tests/interop

faults: $(STAMP) ## Crashes, full disks, strange files: everything that goes wrong, at length, some as root only
	sh tools/test-programs.sh
	$(PYTEST) tests/faults

fuzz: $(STAMP) ## A million mutated texts for all readers, or twenty minutes
	$(BIN)/python tests/fuzz/run.py

compare: $(STAMP) ## Latency, throughput, memory and file-system calls beside another checkout: AGAINST=DIR
	@test -n "$(AGAINST)" || { echo "make compare needs AGAINST=DIR, the other checkout" >&2; exit 2; }
	$(BIN)/python benchmarks/against.py --live 1000 "$(AGAINST)"
	$(BIN)/python benchmarks/fscalls.py --against "$(AGAINST)"

bench: $(STAMP) ## Latency, throughput and memory, beside a real A-REX; SLURM beside bare sbatch, as root
	sh tools/test-programs.sh
	$(BIN)/python benchmarks/run.py
	SLURM_MEMORY=free sh tools/clusters/slurm.sh up
	eval "$$(sh tools/clusters/slurm.sh env)" && $(BIN)/python benchmarks/slurm.py && \
		$(BIN)/python benchmarks/fscalls.py --backend slurm
	sh tools/clusters/slurm.sh down

docs: $(STAMP) ## Build the documentation into ./site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

generated: $(STAMP) ## Write the generated pages of the documentation anew
	$(BIN)/python -m arex.config.explain >docs/admins/configuration.md
	$(BIN)/python tools/gen_commands.py >docs/users/commands.md
	PYTHONPATH=. $(BIN)/python tools/gen_attributes.py >docs/users/attributes.md
	PYTHONPATH=. $(BIN)/python tools/gen_attributes.py --stored >docs/developers/attributes.md
	PYTHONPATH=. $(BIN)/python tools/gen_states.py >docs/states.svg
	$(BIN)/python tools/gen_architecture.py docs/developers/architecture.md >docs/developers/architecture.new
	mv docs/developers/architecture.new docs/developers/architecture.md

man: $(STAMP) ## Write the manual pages into ./build/man, as a wheel has them: man -l build/man/arcsub.1
	PYTHONPATH=. $(BIN)/python tools/gen_man.py build/man

wheel: $(STAMP) ## Build a wheel into ./dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## Remove everything that was built or cached; the virtual environment stays
	rm -rf build dist site demo-run .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
	find $(PACKAGES) tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
