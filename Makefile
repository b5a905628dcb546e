# Everything from a bare machine with Python 3.11+: `make run`, then `make test`.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch>=2.11,<2.14
# CPU builds of torch for machines without an NVIDIA GPU: a tenth of the download
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# LOCK=requirements.lock installs exactly the versions the tests ran with
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

install: $(VENV)/installed ## Make the environment in .venv with what running needs

$(VENV)/torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch ..."
	@command -v nvidia-smi >/dev/null 2>&1 \
		|| $(INSTALL) --retries 0 --timeout 10 --index-url $(TORCH_INDEX) '$(TORCH)' 2>/dev/null \
		|| echo "no CPU index in reach; taking torch from the default one"
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

lock: $(VENV)/tested ## Write requirements.lock: the versions in .venv, for Python 3.11 to 3.13
	@$(PIP) install -q 'uv>=0.5'
	@mkdir -p build
	@# torch brings its own triton and CUDA
	@$(PIP) freeze --exclude-editable | sed 's/+[a-z0-9]*$$//' \
		| grep -vE '^(triton|nvidia|uv=)|@' >build/tested.txt
	@{ echo '# Made by `make lock`; `make install LOCK=requirements.lock` takes these versions.'; \
		$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
			--extra dev --extra sweep --extra export --extra bench --extra slurm --extra serve \
			-c build/tested.txt pyproject.toml; } >build/requirements.lock
	@mv build/requirements.lock requirements.lock

run: $(VENV)/installed ## Train, test and report the main experiment (ARGS adds overrides)
	@$(BIN)/python -m fakesound.run experiment=mt_vim $(ARGS)
	@echo
	@echo "Next: open the report above in a browser; try your own recordings:"
	@echo "  $(BIN)/python -m fakesound.run experiment=mt_vim data.root=FOLDER"
	@echo "  $(BIN)/python -m fakesound.run -m sweep=leave_one_attack_out"
	@echo "  $(BIN)/python -m fakesound.run --help"

smoke: $(VENV)/installed ## Run everything once, quickly
	@$(BIN)/python -m fakesound.run experiment=smoke $(ARGS)

sweep: $(VENV)/installed ## Leave each attack out in turn and compare
	@$(BIN)/python -m fakesound.run -m sweep=leave_one_attack_out $(ARGS)

lint: $(VENV)/tested ## Style, types and import floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

test: lint ## Lint, then all quick tests
	@$(BIN)/python -m pytest -n auto -m 'not slow' $(ARGS)

test-all: lint ## The slow tests too
	@$(BIN)/python -m pytest -n auto $(ARGS)

docs: $(VENV)/installed ## Build the documentation into build/site, with strict links
	@$(INSTALL) -e '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

bench: $(VENV)/tested ## Time kernels and the model on this machine; records in build/
	@mkdir -p build
	@$(BIN)/python -m benchmarks.scan --json build/scan.json $(ARGS)
	@$(BIN)/python -m benchmarks.model --json build/model.json $(ARGS)

clean: ## Remove caches and builds; keeps .venv, prepared/ and outputs/
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
