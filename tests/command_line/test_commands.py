"""The command line as a person meets it: one line on stderr for what is wrong, exit codes, nothing secret printed."""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import httpx2
import jwt
import pytest

from kernel_gateway import commands
from kernel_gateway.__main__ import _parser, anticipated, main
from kernel_gateway.commands import where
from kernel_gateway.embedded import embedded_world
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.frontends.settings import ServerSettings
from kernel_gateway.reference.loopback import ReferenceWorldWarning
from kernel_gateway.sandbox.probes import QUICK

IMAGE = Path(__file__).parents[2] / "build" / "kernel"


@pytest.fixture
def command(tmp_path):
    """`command(*arguments, **variables)` -> the finished process."""

    def run(*arguments, **variables):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "KG_STORE__FOLDER": str(tmp_path / "state"),
            "KG_SANDBOX__IMAGE": str(IMAGE),
            **variables,
        }
        line = [sys.executable, "-m", "kernel_gateway", *arguments]
        return subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=110)

    return run


def one_line(process, code=1):
    assert process.returncode == code, process.stderr
    assert process.stdout == ""
    (line,) = process.stderr.splitlines()
    return line


def test_the_demo_runs_the_flow_once_and_every_step_holds(command):
    done = command("demo", "--once", "--json", KG_SERVER__PORT="0")
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(steps) == 6
    assert all(step["held"] for step in steps)
    assert done.stderr == ""


def test_the_demo_says_where_a_policy_wants_another_person(command, tmp_path):
    (tmp_path / "two.cedar").write_text(
        '@id("two") @code("approval_required") @approver("person") @reason("somebody else has to agree") '
        'forbid (principal, action == Kernel::Action::"delete", resource) unless { context.approved };'
    )
    files = json.dumps([str(tmp_path / "two.cedar")])
    done = command("demo", "--once", "--json", KG_SERVER__PORT="0", KG_POLICY__FILES=files)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (1, "")
    assert (steps[-1]["held"], steps[-1]["said"].partition(":")[0]) == (False, "paused")


@pytest.mark.parametrize("name", ["serve", "demo"])
@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"KG_SERVER__HOST": "0.0.0.0"}, "`server.host` `0.0.0.0` is not loopback: set server.tls_certificate"),
        (
            {"KG_SERVER__TLS_CERTIFICATE": "/nope.pem", "KG_SERVER__TLS_KEY": "/nope.pem"},
            "server.tls_certificate and server.tls_key cannot be used: No such file or directory",
        ),
    ],
)
def test_a_transport_that_is_not_safe_is_one_line_before_anything_starts(command, tmp_path, name, variables, says):
    issuer = '[{issuer = "https://issuer.test", jwks_url = "https://issuer.test/jwks"}]'
    assert says in one_line(command(name, **variables, KG_AUTH__ISSUERS=issuer, KG_SERVER__PORT="0"))
    assert not (tmp_path / "state").exists()


def test_a_failure_that_task_groups_wrapped_is_its_one_line_and_a_crash_is_none():
    wrapped = ExceptionGroup("a", [ExceptionGroup("b", [ConfigError("say this")]), GatewayError("busy", "not this")])
    assert anticipated(wrapped) == "say this"
    assert anticipated(GatewayError("busy", "say this")) == "say this"
    assert anticipated(ExceptionGroup("a", [ConfigError("not this"), RuntimeError("a crash")])) is None
    assert anticipated(BaseExceptionGroup("a", [asyncio.CancelledError()])) is None


def test_a_busy_port_is_passed_over_and_said_aloud(command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command("demo", "--once", "--port", str(port))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"port {port} is busy; listening on ")


async def test_check_prints_a_line_per_layer_and_per_attack_and_none_gets_through(
    gateway_settings, monkeypatch, capsys
):
    """The quick ones; all of them are run by tests/sandbox, and by the command itself in CI."""
    monkeypatch.setattr("kernel_gateway.commands.PROBES", QUICK)
    done = await commands.check(gateway_settings(), argparse.Namespace(json=True, unsafe=False))
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    missing = [each["name"] for each in findings if not (each["holds"] or each["optional"])]
    assert (done, missing) == (0, [])
    assert len(findings) > len(QUICK)


def test_config_prints_the_effective_settings_with_secrets_masked(command, tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text('[upstreams.image_ops]\nbase_url = "https://images.test"\nbearer = "${IMAGES_TOKEN}"\n')
    done = command("config", "--config", str(file), IMAGES_TOKEN="do-not-show", KG_SERVER__PORT="9000")
    settings = json.loads(done.stdout)
    assert settings["server"]["port"] == 9000
    assert "do-not-show" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[server]\nprot = 1\n", "gateway.toml`) is no setting"),
        ("[server]\nport = 'x'\n", "`server.port`"),
        ("[limits]\nmax_calls_per_cell = 0\n", "`limits.max_calls_per_cell`"),
        ("not toml", "not valid TOML"),
        ('[auth]\naudience = "${UNSET_VARIABLE}"\n', "export UNSET_VARIABLE"),
        ('[upstreams.image_ops]\nbase_url = "http://example.test"\n', "must be https"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(command, tmp_path, toml, says):
    file = tmp_path / "gateway.toml"
    file.write_text(toml)
    assert says in one_line(command("config", "--config", str(file)))


def test_a_missing_file_is_named(command):
    assert "absent.toml" in one_line(command("config", "--config", "absent.toml"))


def test_a_missing_image_says_what_to_run(command, tmp_path):
    assert "make install" in one_line(command("demo", "--once", KG_SANDBOX__IMAGE=str(tmp_path / "nothing")))


def test_serving_without_an_issuer_says_what_is_missing(command):
    assert "auth.issuers" in one_line(command("serve"))


def test_an_upstream_without_a_document_is_refused_by_name(command, tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[[auth.issuers]]\nissuer = "https://issuer.test"\njwks_url = "https://issuer.test/jwks"\n'
        '[upstreams.imageops]\nbase_url = "https://images.test"\n'
    )
    line = one_line(command("serve", "--config", str(file), "--port", "0"))
    assert "`upstreams.imageops`" in line
    assert "image_ops" in line


def test_a_token_needs_an_issuer_that_has_run(command):
    assert "kernel-gateway demo" in one_line(command("token", "--subject", "s", "--scope", "kernel.search"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "invalid choice: 'nonsense'"),
        ([], "COMMAND"),
        (["config", "--bogus"], "unrecognized arguments: --bogus; see kernel-gateway --help"),
        (["token", "--subject", "s"], "--scope"),
        (["token", "--subject", "", "--scope", "a"], "--subject: must not be empty; see kernel-gateway token --help"),
        (["token", "--subject", "s", "--scope", " "], "--scope: must not be empty"),
        (["token", "--subject", "s", "--scope", "a", "--ttl", "0"], "`0` is not 1 to 2592000 seconds (30 days)"),
        (["token", "--subject", "s", "--scope", "a", "--ttl", "2592001"], "`2592001` is not 1 to 2592000"),
        (["token", "--subject", "s", "--scope", "a", "--ttl", "1h"], "`1h` is not 1 to 2592000"),
        (["serve", "--port", "65536"], "`65536` is not a port, 0 to 65535"),
        (["demo", "--port", "-1"], "`-1` is not a port"),
        (["demo", "--port", "a\nb"], "is not a port"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_with_2(capsys, arguments, says):
    assert main(arguments) == 2
    printed, said = capsys.readouterr()
    (line,) = said.splitlines()
    assert printed == ""
    assert line.startswith("kernel-gateway: ")
    assert says in line


def test_wrong_usage_exits_the_process_with_2(command):
    one_line(command("nonsense"), code=2)


async def test_a_token_names_the_client_it_is_for(gateway_settings, hold, capsys):
    """As an agent's by default; somebody who approves for others needs another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        _, settings = await hold(embedded_world(gateway_settings()))
    for given, client in (([], "agent"), (["--client", "console"], "console")):
        options = _parser().parse_args(["token", "--subject", "grace", "--scope", "kernel.approve", *given])
        await options.run(settings, options)
        claims = jwt.decode(capsys.readouterr().out.strip(), options={"verify_signature": False})
        assert (claims["sub"], claims["client_id"]) == ("grace", client)


@pytest.mark.parametrize("port", ["0", "65535"])
@pytest.mark.parametrize("ttl", ["1", "2592000"])
def test_usage_on_its_bounds_is_taken(port, ttl):
    options = _parser().parse_args(["token", "--subject", "s", "--scope", "a b", "--ttl", ttl])
    assert (options.subject, options.scope, options.ttl) == ("s", "a b", int(ttl))
    assert _parser().parse_args(["serve", "--port", port]).port == int(port)


def test_every_option_of_every_command_says_what_it_is_for():
    (commands,) = (action.choices for action in _parser()._actions if action.choices)
    silent = [f"{name} {option.dest}" for name, each in commands.items() for option in each._actions if not option.help]
    assert silent == []


@pytest.mark.parametrize(
    ("server", "line"),
    [
        ({}, "kernel-gateway on http://127.0.0.1:80/mcp"),
        ({"host": "::1"}, "kernel-gateway on http://[::1]:80/mcp"),
        ({"host": "k.test", "tls_certificate": "c", "tls_key": "k"}, "kernel-gateway on https://k.test:80/mcp"),
        (
            {"host": "0.0.0.0", "behind_tls_proxy": True},
            "kernel-gateway on http://0.0.0.0:80/mcp, for the proxy that terminates TLS",
        ),
    ],
)
def test_serve_says_where_it_is_reached(server, line):
    assert where(ServerSettings(**server), 80) == line


def test_the_catalog_can_be_searched_from_here(command):
    done = command("catalog", "search", "create an image job")
    assert done.returncode == 0
    assert "image_ops:jobs_create" in done.stdout.splitlines()[0]


def test_a_rival_distribution_with_our_package_name_is_said_in_one_line(command, tmp_path):
    information = tmp_path / "site" / "jupyter_kernel_gateway-3.0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: jupyter-kernel-gateway\nVersion: 3.0.1\n")
    line = one_line(command("config", PYTHONPATH=str(tmp_path / "site")))
    assert "jupyter-kernel-gateway" in line
    assert "kernel_gateway" in line


async def test_the_demo_as_json_stays_up_ends_with_how_to_connect_and_holds_no_session(tmp_path):
    environment = {**os.environ, "KG_STORE__FOLDER": str(tmp_path / "state"), "KG_SANDBOX__IMAGE": str(IMAGE)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kernel_gateway", "demo", "--json", "--port", "0",
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed = [json.loads(await process.stdout.readline()) for _ in range(7)]
    assert [each.get("held") for each in printed] == [True] * 6 + [None]
    invitation = printed[-1]
    assert set(invitation) == {"url", "token", "mcp_json"}
    assert invitation["mcp_json"]["mcpServers"]["kernel-gateway"]["url"] == invitation["url"]
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {invitation['token']}"}) as http:
        sessions = await http.get(f"{invitation['url'].removesuffix('/mcp')}/v1/sessions")
    assert sessions.json() == {"sessions": []}
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()
    assert (process.returncode, rest) == (0, b"")


async def test_the_demo_stays_up_prints_how_to_connect_and_stops_on_a_signal(tmp_path):
    environment = {**os.environ, "KG_STORE__FOLDER": str(tmp_path / "state"), "KG_SANDBOX__IMAGE": str(IMAGE)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kernel_gateway", "demo", "--port", "0",
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    lines = []
    while not lines or not lines[-1].startswith("export KERNEL_GATEWAY_TOKEN="):
        line = (await process.stdout.readline()).decode()
        assert line, (await process.stderr.read()).decode()
        lines.append(line)
    token = lines[-1].strip().removeprefix("export KERNEL_GATEWAY_TOKEN=")
    text = "".join(lines)
    url = text.split("The service is up: ")[1].split("/mcp")[0]
    configuration = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert configuration["mcpServers"]["kernel-gateway"]["url"] == f"{url}/mcp"
    assert Path(configuration["mcpServers"]["kernel-gateway-stdio"]["command"]).is_absolute()
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        assert (await http.get(f"{url}/v1/sessions")).status_code == 200
        assert (await http.get(f"{url}/readyz")).json()["ready"] is True
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0
