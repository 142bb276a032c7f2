.DEFAULT_GOAL := help
PY := .venv/bin/python
export PYTHONDONTWRITEBYTECODE := 1

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## everything the service needs: Debian packages, .venv, kernel image
	@containers/install.sh gateway

dev: ## the same, and what tests and checks need
	@containers/install.sh dev

node: dev ## the Node.js tools of the contract and conformance tests, in build/node
	@tests/node/install.sh

kishu: dev ## the peer of checkpoints and the libraries of its list of classes, in build/kishu
	@$(PY) -m tests.kernel_ext.checkpoint.kishu

demo: install ## start with a world of its own, run the Image Ops flow, stay up
	@.venv/bin/kernel-gateway demo $(DEMO)

test: dev node ## all tests, at most 10 minutes on 2 cores
	@$(PY) -m pytest -n 2 --dist worksteal

check: dev ## format, lint, types, layers, documents
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m catalog lint
	@$(PY) -m pytest tests/test_layers.py tests/test_repository.py tests/test_documents.py

sandbox: install ## every named attack in a real kernel
	@.venv/bin/kernel-gateway check

bench: dev kishu ## the figures of SPECIFICATION.md, into build/bench.json
	@$(PY) -m tests.bench

fuzz: dev ## what a kernel can say to the gateway, for ten minutes
	@$(PY) -m tests.fuzz --seconds 600

soak: dev ## a thousand sessions with random kills; nothing may be left
	@$(PY) -m tests.soak

dashboards: install ## write the Grafana dashboard and the alert rules again
	@$(PY) -m containers.dashboards

lock: dev ## compile the lock files again
	@$(PY) -m pip install --quiet uv
	@cd requirements && ../.venv/bin/uv pip compile $(UV) ../pyproject.toml --extra build -o gateway.txt
	@cd requirements && ../.venv/bin/uv pip compile $(UV) ../pyproject.toml --extra build --extra dev -o dev.txt
	@cd requirements && ../.venv/bin/uv pip compile $(UV) kernel.in -o kernel.txt
	@cd requirements && ../.venv/bin/uv pip compile $(UV) kishu.in -o kishu.txt

UV := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet

.PHONY: help install dev node kishu demo test check sandbox bench fuzz soak dashboards lock
