"""`switch` and `sessions` as a person types them, against a gateway that runs."""

import argparse
import json
import os

import pytest

from kernel_gateway import commands, operating
from kernel_gateway.__main__ import _parser, main
from kernel_gateway.app import running
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.frontends.admin import operator
from kernel_gateway.frontends.admin_socket import admin_socket
from kernel_gateway.sessions.result import ExecuteRequest


@pytest.fixture
async def app(gateway_settings, hold):
    return await hold(running(gateway_settings()))


async def typed(settings, *arguments):
    options = _parser().parse_args(list(arguments))
    return await options.run(settings, options)


async def test_off_and_on_say_what_holds_afterwards(app, capsys):
    assert await typed(app.settings, "switch", "execute", "off", "--reason", "a drill") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "execute is off"
    assert second.startswith("off: all, by ") and second.endswith(": a drill")
    assert not app.gateway.ready()[0]
    assert await typed(app.settings, "switch", "execute", "on") == 0
    assert capsys.readouterr().out == "execute is on\n"
    assert app.gateway.ready()[0]


@pytest.mark.parametrize(
    ("flag", "name", "part"),
    [
        ("--server", "image_ops", "server"),
        ("--operation", "image_ops:jobs_create", "operation"),
        ("--role", "dev", "role"),
        ("--front-end", "stdio", "front_end"),
    ],
)
async def test_a_part_alone_is_switched_and_shown(gateway_settings, hold, capsys, flag, name, part):
    upstreams = {"image_ops": {"base_url": "http://127.0.0.1:1"}}
    app = await hold(running(gateway_settings(upstreams=upstreams)))
    assert await typed(app.settings, "switch", "execute", "off", flag, name) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"off: {part.replace('_', ' ')} {name}, by ")
    assert await typed(app.settings, "switch", "execute", "--json") == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["execute"], [(off["part"], off["name"]) for off in state["off"]]) == ("on", [(part, name)])


async def test_a_service_that_starts_while_it_is_off_says_how_to_switch_it_on(app, capsys):
    await typed(app.settings, "switch", "execute", "off")
    commands._warn(app)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("this service is switched off") and line.endswith("`kernel-gateway switch execute on`")


async def test_a_refusal_of_the_gateway_is_raised_with_its_code(app):
    with pytest.raises(GatewayError, match="no front end has this name"):
        await typed(app.settings, "switch", "execute", "off", "--front-end", "http")


async def test_sessions_of_everybody_are_listed_and_shown(app, capsys):
    me = app.stdio_principal()
    result = await app.gateway.execute(me, ExecuteRequest("1"))
    assert await typed(app.settings, "sessions", "list") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{result.session_id}  idle  1 cells, 0 calls  local/local via stdio  used 2")
    assert await typed(app.settings, "sessions", "show", result.session_id) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == line
    assert [each.split("  ")[1:] for each in shown[1:]] == [["session_opened", "execute"], ["cell_ran", "ok"]]
    assert await typed(app.settings, "sessions", "show", result.session_id, "--json") == 0
    session = json.loads(capsys.readouterr().out)
    assert (session["role"], session["front_end"]) == ("dev", "stdio")
    assert {"session_opened", "cell_ran"} <= {event["kind"] for event in session["transcript"]}


ASKS = """@id("two") @code("approval_required") @approver("person") @reason("somebody else has to agree")
forbid (principal, action == Kernel::Action::"execute", resource)
when { context.risk > 0 } unless { context.approved };
"""


@pytest.mark.parametrize(("verb", "verdict"), [("approve", "approved"), ("deny", "denied")])
async def test_what_a_caller_on_stdio_waits_for_is_listed_and_answered(
    gateway_settings, hold, tmp_path, capsys, verb, verdict
):
    (tmp_path / "two.cedar").write_text(ASKS)
    app = await hold(running(gateway_settings(policy={"files": [str(tmp_path / "two.cedar")]})))
    await hold(running(gateway_settings()))  # another gateway of the folder, where nothing waits
    me = app.stdio_principal()
    asked = await app.gateway.execute(me, ExecuteRequest("exec('x = 1')\nx"))
    assert asked.status == "approval_required"
    assert await typed(app.settings, "approvals", "list") == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith(f"{asked.approval.id}  cell of local via stdio, risk ")
    assert listed[-2:] == ["  | exec('x = 1')", "  | x"]
    assert await typed(app.settings, "approvals", verb, asked.approval.id) == 0
    assert capsys.readouterr().out == f"{asked.approval.id} is {verdict}\n"
    result = await app.gateway.execute(me, ExecuteRequest("exec('x = 1')\nx", asked.session_id))
    assert result.status == ("ok" if verb == "approve" else "denied")
    assert await typed(app.settings, "sessions", "show", asked.session_id) == 0
    (ended,) = [line for line in capsys.readouterr().out.splitlines() if "approval_ended" in line][:1]
    assert f"{verdict} by {operator_name()}" in ended
    with pytest.raises(GatewayError, match="nothing waits under this id"):
        await typed(app.settings, "approvals", verb, "apr_unknown")


def operator_name():
    return operator(os.geteuid(), os.geteuid(), 0.0).subject


async def test_the_sessions_of_every_gateway_of_the_folder_are_found(app, gateway_settings, hold, capsys):
    other = await hold(running(gateway_settings()))
    results = [await each.gateway.execute(each.stdio_principal(), ExecuteRequest("1")) for each in (app, other)]
    assert await typed(app.settings, "sessions", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["sessions"]
    assert {each["session_id"] for each in listed} == {result.session_id for result in results}
    for result in results:
        assert await typed(app.settings, "sessions", "show", result.session_id) == 0
    with pytest.raises(GatewayError, match="no such session is open"):
        await typed(app.settings, "sessions", "show", "ses_unknown")


async def test_without_a_gateway_it_says_which_folder_it_looked_in(gateway_settings, tmp_path):
    with pytest.raises(ConfigError, match="no gateway runs on the state folder"):
        await typed(gateway_settings(), "switch", "execute", "off")
    assert not (tmp_path / "state").exists()


async def test_a_socket_that_a_dead_gateway_left_is_no_gateway(gateway_settings, tmp_path):
    with admin_socket(tmp_path / "state"):
        (tmp_path / "state" / "admin.sock").rename(tmp_path / "state" / "admin-7.sock")
    with pytest.raises(ConfigError, match="no gateway runs on the state folder"):
        await typed(gateway_settings(), "sessions", "list")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["switch"], "execute"),
        (["switch", "search", "off"], "`kernel-gateway switch execute off`"),
        (["switch", "on"], "`kernel-gateway switch execute on`"),
        (["switch", "execute", "maybe"], "invalid choice: 'maybe'"),
        (["switch", "execute", "off", "--server", "a", "--role", "b"], "not allowed with argument"),
        (["sessions"], "VERB"),
        (["sessions", "show"], "ID"),
        (["sessions", "show", "../etc"], "must be an id as it is listed"),
    ],
)
def test_wrong_usage_is_one_line(capsys, arguments, says):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_name_out_of_a_token_cannot_speak_to_the_terminal():
    who = {"organisation": "acme", "subject": "\x1b[2Jann", "client": "\u202eagent"}
    line = operating.session_line({"session_id": "s1", "state": "idle", "cells": 1, "calls": 0, "used_at": 0.0, **who})
    assert "acme/?[2Jann via ?agent" in line and line.isprintable()


def test_a_thing_that_is_off_is_one_line_with_time_and_reason():
    entry = {"part": "front_end", "name": "mcp", "reason": "a leak", "by": "ann", "at": 1_800_000_000.0}
    nobody = {"part": "all", "name": "", "reason": "", "by": "", "at": 0.0}
    assert operating.switch_lines({"execute": "off", "off": [entry, nobody]}) == [
        "execute is off",
        "off: front end mcp, by ann at 2027-01-15 08:00:00Z: a leak",
        "off: all, by nobody at 1970-01-01 00:00:00Z",
    ]
    assert isinstance(_parser(), argparse.ArgumentParser)
