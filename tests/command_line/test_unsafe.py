"""What `--unsafe` allows, and how nobody can overlook it."""

import httpx2
import pytest
from mcp import Client

from kernel_gateway.__main__ import main
from kernel_gateway.app import running
from kernel_gateway.check import self_check
from kernel_gateway.errors import ConfigError
from kernel_gateway.frontends.answers import warned
from kernel_gateway.frontends.listener import bind
from kernel_gateway.frontends.tools import published
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.settings import Settings

NO_SANDBOX = "UNSAFE: this kernel runs without a sandbox"
NOT_CHECKED = "UNSAFE: nobody has checked the sandbox of this kernel"


@pytest.mark.parametrize("command", [["serve"], ["demo", "--once"], ["mcp"], ["check"]], ids=lambda each: each[0])
def test_the_launcher_without_a_sandbox_is_refused_without_the_word(command, capsys, monkeypatch, tmp_path):
    issuer = '[{issuer = "https://issuer.test", jwks_url = "https://issuer.test/jwks"}]'
    monkeypatch.setenv("KG_AUTH__ISSUERS", issuer)
    monkeypatch.setenv("KG_KERNELS__LAUNCHER", "none")
    monkeypatch.setenv("KG_STORE__FOLDER", str(tmp_path / "state"))
    assert main(command) == 1
    printed, said = capsys.readouterr()
    assert printed == ""
    assert said.count("\n") == 1
    assert "`kernels.launcher` `none` runs cells without any sandbox; set another, or say so with --unsafe" in said
    assert not (tmp_path / "state").exists()


def test_no_file_and_no_variable_can_say_the_word(tmp_path):
    for section in ("kernels", "sandbox", "server"):
        with pytest.raises(ConfigError, match="is no setting"):
            Settings.of({section: {"unsafe": True}})


@pytest.mark.parametrize(("launcher", "warning"), [("none", NO_SANDBOX), ("bwrap", NOT_CHECKED)])
async def test_every_answer_says_it_and_the_service_is_not_ready(gateway_settings, hold, launcher, warning):
    app = await hold(running(gateway_settings(kernels={"launcher": launcher}), unsafe=True))
    async with Client(app.mcp_server(app.stdio_principal)) as client:
        ran = await client.call_tool("execute", {"code": "6 * 7"})
        refused = await client.call_tool("execute", {"code": "1", "session_id": "nobody's"})
        searched = await client.call_tool("search", {"query": "a job"})
    assert ran.structured_content["result"] == "42"
    for answer in (ran, refused):
        assert answer.structured_content["unsafe"] is True
        assert answer.content[0].text.splitlines()[0] == warning
    assert refused.is_error
    assert "unsafe" not in searched.structured_content
    bound = bind("127.0.0.1", 0)
    await hold(app.serving(bound))
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{bound.port}/readyz")
        healthy = await http.get(f"http://127.0.0.1:{bound.port}/healthz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reasons": [warning]})
    assert healthy.status_code == 200


async def test_without_the_word_no_answer_says_it(gateway_settings, hold):
    app = await hold(running(gateway_settings()))
    async with Client(app.mcp_server(app.stdio_principal)) as client:
        ran = await client.call_tool("execute", {"code": "6 * 7"})
    assert "unsafe" not in ran.structured_content
    assert "UNSAFE" not in ran.content[0].text
    assert app.gateway.ready() == (True, [])


def test_the_published_schema_names_it():
    _, execute = published(60.0)
    assert execute.output_schema["properties"]["unsafe"]["type"] == "boolean"


async def test_the_line_leaves_the_text_within_its_limit(gateway_settings, hold):
    settings = gateway_settings(kernels={"launcher": "none"})
    app = await hold(running(settings, unsafe=True))
    async with Client(app.mcp_server(app.stdio_principal)) as client:
        ran = await client.call_tool("execute", {"code": "print('x' * 100_000)"})
    assert ran.content[0].text.startswith(NO_SANDBOX)
    assert len(ran.content[0].text) <= settings.mcp.max_text_chars
    assert len(warned(ran, "x" * 1000).content[0].text) <= len(ran.content[0].text) + 100


async def test_a_service_checks_its_sandbox_before_it_serves_and_sees_where_there_is_none(gateway_settings):
    for launcher, sealed in (("forkserver", True), ("none", False)):
        settings = gateway_settings(kernels={"launcher": launcher})
        made = kernel_launcher(settings, unsafe=True)
        try:
            finding = await self_check(lambda: Kernel.start(made, settings.kernels), launcher)  # noqa: B023
        finally:
            await made.close()
        assert (finding is None) == sealed
    assert finding.line().startswith("FAILED cannot ")
