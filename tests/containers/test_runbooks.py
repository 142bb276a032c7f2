"""Every command of every runbook, typed for real against a service that runs."""

import asyncio
import contextlib
import os
import sys
import tomllib
from pathlib import Path

import pytest

from containers.runbooks.steps import HERE, Step, steps
from kernel_gateway.frontends.listener import bind
from tests.containers.warm import client

ROOT = Path(__file__).parents[2]
OLD_TOKEN = "old-" + "5" * 32
START = """#!/bin/sh
# $1: the port. The environment that a host would give its service is in ./environment.
export KG_METRICS__TOKEN="${METRICS_TOKEN:-$SCRAPE_TOKEN}"
mkfifo up.$$
"$PYTHON" "$SERVING" "$1" > up.$$ 2> service.log &
echo $! > pid
read -r said < up.$$
rm up.$$
[ "$said" = serving ]
"""
STOP = """#!/bin/sh
kill -TERM "$(cat pid)"
while kill -0 "$(cat pid)" 2>/dev/null; do :; done
"""


@pytest.fixture
async def command(tmp_path):
    """A folder with `kernel-gateway` in it."""
    path = tmp_path / "warm.sock"
    warm = await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name("warm.py"), path, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert await warm.stdout.readline() == b"ready\n"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kernel-gateway").write_text(client(path))
    (tmp_path / "bin" / "kernel-gateway").chmod(0o700)
    yield tmp_path / "bin"
    warm.kill()
    await warm.communicate()


@pytest.fixture
async def rehearsal(tmp_path, command):
    """(environment, folder) with a service that runs; whatever runs at the end is stopped."""
    free = bind("127.0.0.1", 0)
    for each in free.sockets:
        each.close()
    for name, text in (("start", START), ("stop", STOP)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    environment = {
        **os.environ,
        "PATH": f"{command}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHON": sys.executable,
        "SERVING": str(Path(__file__).with_name("serving.py")),
        "KG_STORE__FOLDER": str(tmp_path / "state"),
        "KG_SANDBOX__IMAGE": str(ROOT / "build" / "kernel"),
        "KG_KERNELS__PRELOAD": "[]",
        "KG_KERNELS__POOL__READY": "0",
        "PREVIOUS": str(command.parent),
        "SCRAPE_TOKEN": OLD_TOKEN,
        "START": f"{tmp_path}/start {free.port}",
        "STOP": f"{tmp_path}/stop",
        "URL": f"http://127.0.0.1:{free.port}",
    }
    started, output = await typed(Step("", "$START", ""), environment, tmp_path)
    assert started, output + (tmp_path / "service.log").read_text()
    yield environment, tmp_path
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
        await typed(Step("", "$STOP", ""), environment, tmp_path)


async def typed(step, environment, folder):
    return await asyncio.to_thread(step.run, environment, folder)


@pytest.mark.timeout(400)  # the service is started up to five times
@pytest.mark.parametrize("name", ["incident.md", "rollback.md", "key-rotation.md"])
async def test_a_runbook_does_what_it_says(rehearsal, name):
    environment, folder = rehearsal
    for step in steps(HERE / name):
        held, output = await typed(step, environment, folder)
        assert held, f"{step.title}:\n{output}\n{(folder / 'service.log').read_text()}"


def test_every_runbook_has_steps_and_each_shows_what_one_sees():
    found = {path.name: list(steps(path)) for path in sorted(HERE.glob("*.md"))}
    assert set(found) == {"incident.md", "key-rotation.md", "release.md", "rollback.md"}
    assert [name for name, its in found.items() if len(its) < 4] == []
    assert [step.title for its in found.values() for step in its if not step.seen.strip()] == []


@pytest.mark.parametrize(
    ("seen", "output", "holds"),
    [
        ("a b", "a b\n", True),
        ("a ... c", "a b\nb c\n", True),
        ("a ... c", "a b", False),
        ("a.c", "abc", False),
        ("...b", "a\nb\n", True),
    ],
)
def test_what_is_seen_is_compared_up_to_the_dots(seen, output, holds):
    assert Step("", "", seen).matches(output) == holds


async def test_a_step_that_fails_is_no_evidence_whatever_it_prints(tmp_path):
    held, output = await typed(Step("", "echo 100%; false", "100%"), os.environ, tmp_path)
    assert not held and output == "100%\n"


async def sign_off(environment, record):
    command = (sys.executable, "-m", "containers.runbooks.sign_off", "--version", "9.9", "--by", "Ada", "--to", record)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.timeout(400)  # as above, and tests within the test
async def test_the_release_check_list_is_gone_through_for_real_and_recorded(tmp_path):
    environment = {**os.environ, "STAGING": str(tmp_path / "staging"), "KG_KERNELS__POOL__READY": "0"}
    code, output = await sign_off(environment, tmp_path / "record.toml")
    assert code == 0, output
    (signed,) = tomllib.loads((tmp_path / "record.toml").read_text())["sign_off"]
    assert (signed["version"], signed["by"]) == ("9.9", "Ada")
    assert [item["item"] for item in signed["items"]] == [step.title for step in steps(HERE / "release.md")]
    assert all(item["evidence"] and len(item["sha256"]) == 64 for item in signed["items"])


async def test_an_item_that_does_not_hold_is_not_signed_for(tmp_path):
    environment = {**os.environ, "PYTEST_ADDOPTS": "--no-such-option"}
    code, output = await sign_off(environment, tmp_path / "record.toml")
    assert code == 1 and output.startswith("FAILED Policy tests")
    assert not (tmp_path / "record.toml").exists()


def test_every_sign_off_on_record_says_who_when_and_on_what():
    signed = tomllib.loads((HERE / "sign-offs.toml").read_text()).get("sign_off", [])
    assert all(each["by"] and each["at"] and each["version"] and each["items"] for each in signed)
    wanted = [step.title for step in steps(HERE / "release.md")]
    assert [each["version"] for each in signed[-1:] if [item["item"] for item in each["items"]] != wanted] == []
