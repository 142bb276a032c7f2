"""The admin socket: whose it is, who may come in, and what two gateways on one folder do."""

import asyncio
import os
import socket
import stat
import subprocess
import sys

import httpx2
import pytest

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.frontends.admin import administered, operator
from kernel_gateway.frontends.admin_socket import admin_socket, admin_sockets, reachable
from kernel_gateway.frontends.handler import Door
from kernel_gateway.frontends.settings import ServerSettings

NOBODY = 65534


class Operators:
    """Answers with who asked."""

    async def switch(self, principal):
        return {"subject": principal.subject, "scopes": sorted(principal.scopes), "front_end": principal.front_end}

    async def sessions(self, principal):
        return [{"session_id": "s1"}]

    async def session(self, principal, session_id):
        raise GatewayError("not_found", f"no session {session_id}")


class Gateway:
    """Has nothing to approve, and says whom it told so."""

    async def approvals(self, principal):
        who = f"{principal.organisation}/{principal.client} {' '.join(principal.scopes)} {principal.front_end}"
        raise GatewayError("denied", who)


@pytest.fixture
async def folder(tmp_path, hold):
    """A state folder with a served socket, by a path that is too long for a socket's address."""
    folder = tmp_path / ("x" * 100) / "state"
    folder.mkdir(mode=0o700, parents=True)

    async def admit(_):
        """At any rate."""

    door = Door(None, ServerSettings(), lambda: 1000.0, lambda: "event", admit, lambda error, who: None)
    await hold(administered(folder, door, Operators(), Gateway(), "acme", None))
    return folder


async def ask(folder, path, method="GET", name="admin.sock"):
    with reachable(folder) as short:
        transport = httpx2.AsyncHTTPTransport(uds=str(short / name))
        async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as http:
            return await http.request(method, path)


async def test_whoever_runs_the_gateway_comes_in_without_a_token(folder):
    answer = await ask(folder, "/v1/switch")
    subject = operator(os.geteuid(), os.geteuid(), 0.0).subject
    assert answer.json() == {"subject": subject, "scopes": ["kernel.admin"], "front_end": "admin"}


async def test_the_operator_answers_for_the_organisation_of_stdio_and_with_no_other_scope(folder):
    answer = await ask(folder, "/v1/approvals")
    assert answer.json()["detail"] == "acme/command-line kernel.approve admin"


async def test_sessions_are_listed_and_a_refusal_is_a_problem(folder):
    assert (await ask(folder, "/v1/sessions")).json() == {"sessions": [{"session_id": "s1"}]}
    missing = await ask(folder, "/v1/sessions/s2")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["content-type"] == "application/problem+json"
    assert (await ask(folder, "/mcp", "POST")).status_code == 404


def test_only_its_user_can_open_it(folder):
    assert stat.S_IMODE((folder / "admin.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize(("uid", "own", "comes_in"), [(1, 1, True), (0, 1, True), (2, 1, False), (1, 0, False)])
def test_the_same_user_and_root_are_let_in_and_nobody_else(uid, own, comes_in):
    if comes_in:
        assert operator(uid, own, 1000.0).expires_at > 1000.0
        return
    with pytest.raises(GatewayError) as refused:
        operator(uid, own, 1000.0)
    assert refused.value.code == "denied"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user to knock with")
async def test_another_user_is_denied_even_where_the_file_lets_him_in(folder):
    (folder / "admin.sock").chmod(0o666)
    folder.chmod(0o711)
    knock = """
import os, socket, sys
made = socket.socket(socket.AF_UNIX)
made.connect(f"/proc/self/fd/{sys.argv[1]}/admin.sock")
made.sendall(b"GET /v1/switch HTTP/1.1\\r\\nHost: admin\\r\\nConnection: close\\r\\n\\r\\n")
print(made.makefile().readline())"""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        process = await asyncio.to_thread(
            subprocess.run,
            [
                "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable,
                "-c",
                knock,
                str(descriptor),
            ],
            pass_fds=[descriptor],
            user=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
        )
    finally:
        os.close(descriptor)
    assert process.stdout.startswith("HTTP/1.1 403"), process.stderr


def test_a_second_gateway_of_the_folder_takes_another_name_and_gives_it_back(tmp_path):
    with admin_socket(tmp_path / "state"):
        with admin_socket(tmp_path / "state"):
            assert admin_sockets(tmp_path / "state") == ["admin-2.sock", "admin.sock"]
        assert admin_sockets(tmp_path / "state") == ["admin.sock"]
    assert admin_sockets(tmp_path / "state") == []


def test_the_socket_of_a_gateway_that_died_is_taken_over(tmp_path):
    folder = tmp_path / "state"
    died = f"""
import os
from pathlib import Path
from kernel_gateway.frontends.admin_socket import admin_socket
with admin_socket(Path({str(folder)!r})):
    os._exit(0)"""
    subprocess.run([sys.executable, "-c", died], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert admin_sockets(folder) == ["admin.sock"]
    with admin_socket(folder), reachable(folder) as short, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(short / "admin.sock"))
        assert admin_sockets(folder) == ["admin.sock"]


def test_a_place_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "state" / "admin.sock").mkdir(parents=True)
    (tmp_path / "state").chmod(0o700)
    with pytest.raises(ConfigError, match="cannot make the admin socket"), admin_socket(tmp_path / "state"):
        pass
