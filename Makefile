# Needs only Python 3.11 or newer: start with `make run`, then `make test`.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch>=2.11,<2.14
# machines without an NVIDIA GPU get the CPU build of torch, a tenth of the download
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# LOCK=requirements.lock installs the exact versions that were tested
LOCK ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -q $(if $(LOCK),-c $(LOCK))
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install lock run smoke sweep test test-all lint docs bench clean

help: ## Show this list
	@echo "make TARGET [ARGS='key=value ...']"
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-10s %s\n", $$1, $$2}'

install: $(VENV)/installed ## Create .venv and install fakesound in it

$(VENV)/torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is older than 3.11; use a newer one: make PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch ..."
	@command -v nvidia-smi >/dev/null 2>&1 \
		|| $(INSTALL) --retries 0 --timeout 10 --index-url $(TORCH_INDEX) '$(TORCH)' 2>/dev/null \
		|| echo "the CPU index is not reachable; installing torch from the default index"
	@$(INSTALL) '$(TORCH)'
	@touch $@

$(VENV)/installed: pyproject.toml | $(VENV)/torch
	@echo "installing fakesound ..."
	@$(INSTALL) -e .
	@touch $@

$(VENV)/tested: pyproject.toml | $(VENV)/installed
	@echo "installing the test tools ..."
	@$(INSTALL) -e '.[dev,sweep,slurm,export,bench,serve]'
	@touch $@

lock: $(VENV)/tested ## Write the versions in .venv to requirements.lock, for Python 3.11 to 3.13
	@$(PIP) install -q 'uv>=0.5'
	@mkdir -p build
	@# torch installs the triton and CUDA packages that it needs
	@$(PIP) freeze --exclude-editable | sed 's/+[a-z0-9]*$$//' \
		| grep -vE '^(triton|nvidia|uv=)|@' >build/tested.txt
	@{ echo '# Written by `make lock`; `make install LOCK=requirements.lock` installs these versions.'; \
		$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
			--extra dev --extra sweep --extra export --extra bench --extra slurm --extra serve \
			-c build/tested.txt pyproject.toml; } >build/requirements.lock
	@mv build/requirements.lock requirements.lock

run: $(VENV)/installed ## Run the main experiment: train, test, report (ARGS adds overrides)
	@$(BIN)/fakesound run experiment=mt_vim $(ARGS)
	@echo
	@echo "Open the report above in a browser, or try one of these:"
	@echo "  $(BIN)/fakesound run experiment=mt_vim data.root=FOLDER"
	@echo "  $(BIN)/fakesound run -m sweep=leave_one_attack_out"
	@echo "  $(BIN)/fakesound run --help"

smoke: $(VENV)/installed ## Check the installation in half a minute
	@$(BIN)/fakesound run experiment=smoke $(ARGS)

sweep: $(VENV)/installed ## Hold out each attack in turn and compare the runs
	@$(BIN)/fakesound run -m sweep=leave_one_attack_out $(ARGS)

lint: $(VENV)/tested ## Check style, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

test: lint ## Lint, then run the quick tests
	@$(BIN)/python -m pytest -n auto -m 'not slow' $(ARGS)

test-all: lint ## Lint, then run all tests, including the slow ones
	@$(BIN)/python -m pytest -n auto $(ARGS)

docs: $(VENV)/installed ## Build the documentation in build/site and check its links
	@$(INSTALL) -e '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

bench: $(VENV)/tested ## Benchmark the kernels and the model; writes JSON files to build/
	@mkdir -p build
	@$(BIN)/python -m benchmarks.scan --json build/scan.json $(ARGS)
	@$(BIN)/python -m benchmarks.model --json build/model.json $(ARGS)

clean: ## Remove caches and builds, but not .venv, prepared/ and outputs/
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
