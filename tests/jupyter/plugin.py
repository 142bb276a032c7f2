"""For the pytest that runs one upstream file: its kernels are ours; how each test ended is written to `OUTCOMES`.

It runs in a process of its own, because the suites change folders, limits and the environment, and import ipykernel.
"""

import importlib
import json
import os
from pathlib import Path

import jupyter_client.manager
import pytest
from blocking import SandboxedKernelManager
from suites import DEVIATIONS

REPLY_SECONDS = 10  # upstream waits 100
REFUSAL_SECONDS = 1  # for the reply to a request that is refused, which never comes

outcomes = {}


def name_of(nodeid):
    path, _, test = nodeid.partition("::")
    return f"{Path(path).stem}::{test}"


def pytest_configure():
    SandboxedKernelManager.settings = json.loads(os.environ["SUITE_SETTINGS"])
    jupyter_client.manager.KernelManager = SandboxedKernelManager
    if Path("tests/utils.py").is_file():
        importlib.import_module("tests.utils").TIMEOUT = REPLY_SECONDS


@pytest.fixture(autouse=True)
def _short_wait_for_what_is_refused(request, monkeypatch):
    if name_of(request.node.nodeid) in DEVIATIONS:
        monkeypatch.setattr(request.module, "TIMEOUT", REFUSAL_SECONDS, raising=False)


def pytest_runtest_logreport(report):
    name = name_of(report.nodeid)
    if report.when == "call" or not report.passed:
        outcomes[name] = "failed" if outcomes.get(name) == "failed" else report.outcome


def pytest_sessionfinish():
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(outcomes))
