"""`kernel-gateway policy` beside a gateway that runs: it says what is in force, and not what lies on the disk."""

import json
import os

import pytest

from kernel_gateway.__main__ import _parser
from kernel_gateway.app import running
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.admin import operator
from kernel_gateway.limits.switch_file import Part
from tests.conftest import until

QUESTION = ("policy", "explain", "--subject", "ada", "--operation")
OWN = """@id("own") @reason("not today") forbid (principal, action == Kernel::Action::"write", resource);"""


@pytest.fixture
async def app(gateway_settings, hold, tmp_path):
    (tmp_path / "own.cedar").write_text(OWN)
    policy = {"files": [str(tmp_path / "own.cedar")], "reload_seconds": 0.01, "rollout": "controlled-write"}
    return await hold(running(gateway_settings(policy=policy)))


async def typed(settings, *arguments):
    options = _parser().parse_args(list(arguments))
    return await options.run(settings, options)


async def explained(app, capsys, *arguments):
    assert await typed(app.settings, *QUESTION, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


async def test_the_phase_and_the_set_that_are_in_force_are_shown(app, capsys, tmp_path):
    assert await typed(app.settings, "policy", "show") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("rollout controlled-write, policy ")
    assert line.endswith(f": 21 rules of the baseline, {tmp_path}/own.cedar")


async def test_what_was_refused_on_the_disk_explains_nothing_and_is_told(app, capsys, tmp_path):
    assert (await explained(app, capsys, "image_ops:jobs_create"))["rule"] == "own"
    (tmp_path / "own.cedar").write_text("forbid (")
    await until(lambda: app.gateway.ready()[1])
    assert (await explained(app, capsys, "image_ops:jobs_create"))["rule"] == "own"
    await typed(app.settings, "policy", "show")
    assert capsys.readouterr().out.splitlines()[1:] == ["the policy on disk is refused; the one before it is in force"]


async def test_what_is_switched_off_is_told_with_its_reason(app, capsys):
    who = operator(os.geteuid(), os.geteuid(), float("inf"))
    await app.operators.set_switch(who, Part.ROLE, "dev", off=True, reason="a drill")
    answer = await explained(app, capsys, "image_ops:quota_get")
    assert (answer["allowed"], answer["rule"], answer["code"]) == (False, "kill_switch", "disabled")
    assert "a drill" in answer["reason"]
    assert (await explained(app, capsys, "image_ops:quota_get", "--role", "ops"))["allowed"]
    assert (await explained(app, capsys, "read"))["allowed"]


async def test_a_slip_in_the_operation_is_told(app):
    with pytest.raises(GatewayError, match="did you mean `image_ops:quota_get`"):
        await typed(app.settings, *QUESTION, "image_ops:quota")


async def test_only_an_operator_is_told(app):
    for attempt in (app.operators.policy(app.stdio_principal()), app.operators.explain(app.stdio_principal(), None)):
        with pytest.raises(GatewayError, match=r"`kernel\.admin` is missing"):
            await attempt
