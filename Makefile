# `make` sets up .venv from requirements.lock and reproduces the paper at laptop scale.
# `make help` lists the rest. Options: SCALE=smoke|laptop|paper|published  CORES=all|N  DEVICE=auto|cpu|gpu
# WORKERS=auto|N (tests)  PYTHON=python3.12

PYTHON ?= python3
SCALE ?= laptop
CORES ?= all
DEVICE ?= auto
WORKERS ?= auto

# Where the user's cache cannot be written, which stops Snakemake and uv, the artifact has one of its own.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq ($(shell mkdir -p "$(CACHE)" 2>/dev/null && test -w "$(CACHE)" && echo yes),yes)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif

# Writes are atomic: what an interrupted run left is whole, and its unfinished jobs run again.
SNAKEMAKE = snakemake --cores $(CORES) --rerun-incomplete --config scale=$(SCALE) device=$(DEVICE)
# With DEVICE=gpu, .venv has jax's plugin for NVIDIA cards, too.
CARDS := $(if $(filter gpu,$(DEVICE)),.venv/.cards)
IN_VENV := @export PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHONSAFEPATH=;
ADD_TO_VENV = $(IN_VENV) python -m pip install --quiet --disable-pip-version-check
PIP_FLAGS := --quiet --require-hashes -r requirements.lock
OLD_PYTHON := Python %d.%d is too old, 3.11 or newer is needed: try make PYTHON=python3.12

NUMERICAL_TESTS := tests/estimators tests/tasks $(addprefix tests/workflow/protocols/test_, \
	gradient_theory.py gradient_trace.py gradient_variance.py loss_surface.py meta_training.py \
	optimizers.py random_search.py tuning.py)
NUMERICAL_TESTS_NEED := hypothesis jsonschema pandas pyarrow pytest pytest-xdist pyyaml

.PHONY: all smoke test test-latest verify report freeze tuning publish readme benchmark benchmark-peers device-check peers slurm lint help

all: .venv/.complete $(CARDS)  ## runs, tables, figures and claims in results/ (default: laptop scale)
	$(IN_VENV) $(SNAKEMAKE)

smoke: SCALE := smoke
smoke: all  ## the same at the smallest scale: every rule, no science, minutes

test: .venv/.complete  ## all tests
	$(IN_VENV) pytest -n $(WORKERS) --dist loadfile

test-latest:  ## numerical tests with the newest jax, flax and optax for PYTHON, in .venv-latest
	@"$(PYTHON)" -m venv --clear .venv-latest
	@.venv-latest/bin/python -m pip install --quiet --disable-pip-version-check \
		-e . $(NUMERICAL_TESTS_NEED)
	@.venv-latest/bin/python -m pip list --disable-pip-version-check | grep -E '^(flax|jax|numpy|optax) '
	.venv-latest/bin/python -m pytest -n $(WORKERS) --dist loadfile $(NUMERICAL_TESTS)

verify: .venv/.complete  ## check finished results, and compare them with the published ones
	$(IN_VENV) python -m workflow.scripts.verify --scale $(SCALE)

report: .venv/.complete  ## one page with claims, figures and captions: report.html
	$(IN_VENV) $(SNAKEMAKE) --report report.html

freeze: .venv/.complete  ## fix claims and settings, from the pilot runs, before reporting seeds are run
	$(IN_VENV) python -m workflow.scripts.freeze

tuning: .venv/.complete  ## the grids that learning rates and σ are chosen from: hours
	$(IN_VENV) $(SNAKEMAKE) tuning
	$(IN_VENV) python -m workflow.scripts.tuned

publish: .venv/.complete  ## copy a finished, verified run to results/published; refresh the pages
	$(IN_VENV) python -m workflow.scripts.publish --scale $(SCALE)

readme: SCALE := published
readme: .venv/.complete  ## redraw and judge what is published; the generated parts of the pages
	$(IN_VENV) $(SNAKEMAKE)
	$(IN_VENV) python -m workflow.scripts.refresh

benchmark: peers  ## speed on this machine, and docs/benchmarks.md from it: a quarter of an hour
	$(IN_VENV) python -m workflow.scripts.benchmark

peers: .venv/.complete  ## install evosax and MuJoCo, independent implementations: `make test` then compares with them
	$(ADD_TO_VENV) --require-hashes --no-deps -r requirements-peers.lock

slurm: .venv/.complete  ## install what Snakemake needs on a SLURM cluster (docs/cluster.md)
	$(ADD_TO_VENV) --require-hashes --no-deps -r requirements-slurm.lock

device-check: .venv/.complete $(CARDS)  ## the paper's constants on this device: gradients, speed, memory; docs/scaling.md
	$(IN_VENV) python -m workflow.scripts.device_check

benchmark-peers: peers  ## speed beside evosax and MuJoCo, as ratios
	$(IN_VENV) python -m workflow.scripts.benchmark --parts peers

lint: .venv/.complete  ## style of the code and of the workflow
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) snakefmt --check Snakefile workflow/rules
	$(IN_VENV) snakemake --lint

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "make %-15s %s\n", $$1, $$2}' Makefile

environment.yml: requirements.lock
	@sed '/- pip:$$/q' $@ > $@.new
	@sed -n 's/^\([A-Za-z0-9].*[^ ]\) \\$$/      - "\1"/p' requirements.lock >> $@.new
	@mv $@.new $@

environment-gpu.yml: environment.yml requirements-cuda.lock
	@echo "# environment.yml and requirements-cuda.lock in one: make environment-gpu.yml" > $@.new
	@sed '1,3d; s/^name: es-single$$/name: es-single-gpu/' environment.yml >> $@.new
	@sed -n 's/^\([A-Za-z0-9].*[^ ]\) \\$$/      - "\1"/p' requirements-cuda.lock >> $@.new
	@mv $@.new $@

.venv/.cards: .venv/.complete requirements-cuda.lock
	$(ADD_TO_VENV) --require-hashes --no-deps -r requirements-cuda.lock
	@touch $@

# The stamp is written last: a set-up that was interrupted starts anew.
.venv/.complete: requirements.lock
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and "$(OLD_PYTHON)" % v)'
	@rm -rf .venv
	@if uv --version >/dev/null 2>&1; then \
		echo "Setting up .venv with uv ..."; \
		uv venv --quiet --python "$(PYTHON)" .venv && \
		uv pip install --python .venv --compile-bytecode $(PIP_FLAGS); \
	else \
		echo "Setting up .venv with pip (a few minutes) ..."; \
		"$(PYTHON)" -m venv .venv && \
		.venv/bin/python -m pip install --disable-pip-version-check $(PIP_FLAGS); \
	fi
	@touch -r requirements.lock $@  # its date: a lock dated ahead is not newer at every call
