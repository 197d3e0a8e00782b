# The book's commands.  `make` alone lists them.  Needs only make, a shell and Python 3.11 or newer.
#
# Programs are called as `python -m NAME`: the start-up scripts in .venv/bin hold an absolute path, which
# breaks when the folder is moved or its path has a space.  All paths are relative for the same reason.

python := .venv/bin/python
PORT   ?= 8000
# Or class: the book without solutions.
EDITION ?= open
# Only as it is typed: many systems have a variable of this name for other things.
one_language = $(if $(findstring command,$(origin LANGUAGE)),--language "$(LANGUAGE)")

.PHONY: help environment book test quick check format notebooks slides pdf serve lab wheel colab offline dist translations repository constraints classroom grade clean distclean

help:
	@echo "Keep the Crack. Say 'make' and one of these:"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "The first one sets up .venv, the book's own Python (some minutes, once)."
	@echo "A Python of your choice: PYTHON=python3.12 make book"
	@echo "The versions that the stored outputs were made with: CONSTRAINTS=constraints.txt make book"

environment:
	@sh tools/environment.sh

book: environment  ## build the website into _build/html (EDITION=class: without solutions; LANGUAGE=zh_CN: in Chinese; all: both)
	@$(python) tools/website.py --edition "$(EDITION)" $(one_language)

serve: book  ## build the website and show it on this computer (PORT=8000)
	@echo "The site: http://localhost:$(PORT)/  (Ctrl-C stops it)"
	@$(python) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/$(if $(filter class,$(EDITION)),class/)html

wheel: environment  ## pack the book's code into _build/wheel (EDITION=class: without solutions, into _build/class/wheel)
	@$(python) tools/edition.py wheel --edition "$(EDITION)"

colab: environment  ## pack code and notebooks into one zip for Colab, where the book has no address (EDITION=class)
	@$(python) tools/pack.py colab --edition "$(EDITION)"

offline: environment  ## pack site, notebooks and code into one zip, for a machine without network (EDITION=class)
	@$(python) tools/pack.py offline --edition "$(EDITION)"

dist: environment  ## build wheel and source of chapters_code as a package index takes them, into _build/dist
	@$(python) tools/pack.py dist

lab: environment  ## open the notebooks in JupyterLab
	cd notebooks && ../$(python) -m jupyterlab

# One run for all: the tests, the notebooks' stored outputs (nbval), the examples in docstrings.
# What needs each other stays together on one worker, see tests/conftest.py.  ONLY=pooling takes what has
# the word in its name or its file's.
test: check  ## check the style, then run the tests, every notebook and every example (ONLY=pooling for one topic)
	$(python) -m pytest --numprocesses auto --nbval --doctest-modules $(if $(ONLY),-k "$(ONLY)")

quick: check  ## check the style and one test of every kind, in a minute: for people at work
	$(python) -m pytest --numprocesses auto --quick tests

import_linter = from importlinter.cli import lint_imports_command; lint_imports_command()

check: environment  ## check the style (ruff), the spelling (typos), that imports run one way (import-linter), and the types (mypy)
	$(python) -m ruff check
	$(python) -m ruff format --check
	.venv/bin/typos
	$(python) -c "$(import_linter)" --no-cache --no-logo
	$(python) -m mypy

format: environment  ## lay out code and notebooks in the book's style (ruff)
	$(python) -m ruff format
	$(python) -m ruff check --fix

notebooks: environment  ## run all notebooks anew and store their outputs (ONLY=pooling for one)
	$(python) tools/notebooks.py $(if $(ONLY),--only "$(ONLY)")

slides: environment  ## make a deck of slides of each chapter in _build/slides (ONLY=pooling for one)
	$(python) tools/slides.py $(if $(ONLY),--only "$(ONLY)")

translations: environment  ## bring book/locale up to date with the pages; say what is translated, stale, broken
	$(python) tools/translation.py

pdf: environment  ## print the book into _build/pdf with Chromium (EDITION=class: without solutions, into _build/class/pdf)
	@$(python) tools/pdf.py --edition "$(EDITION)"

# An empty URL= takes the address away; no URL at all is a slip, so it only asks.
repository: environment  ## set the address the book is published at (URL=https://github.com/OWNER/REPO)
	@$(if $(filter undefined,$(origin URL)),echo "Say: make repository URL=https://github.com/OWNER/REPO"; exit 2)
	@$(python) tools/repository.py "$(URL)"

constraints: environment  ## write the installed versions, with which the notebooks were stored, into constraints.txt
	@$(python) tools/constraints.py

said = $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out "$(OUT)")

classroom: environment  ## write assignments, solutions and sheets for a class (CHAPTERS=1,2 SEED=… OUT=…)
	@$(python) -m classroom make --check $(said) $(if $(CHAPTERS),--chapters "$(CHAPTERS)")

grade: environment  ## grade the notebooks of a class (SUBMISSIONS=folder SEED=… OUT=…)
	@$(if $(SUBMISSIONS),,echo "Say: make grade SUBMISSIONS=folder"; exit 2)
	@$(python) -m classroom grade "$(SUBMISSIONS)" $(said)

clean:  ## remove what was built
	rm -rf _build .pytest_cache build *.egg-info
	find . -name .venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints -o -name .ruff_cache -o -name .mypy_cache \) -prune -exec rm -rf {} +

distclean: clean  ## remove what was built and .venv
	rm -rf .venv
