"""What the policy says, met by a cell in a real kernel and a real upstream."""

import warnings

import pytest

from kernel_gateway.app import running
from kernel_gateway.embedded import embedded_world
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.reference.loopback import ReferenceWorldWarning
from kernel_gateway.sessions.result import ExecuteRequest

FLOW = """
upload = image_ops.uploads_init(content_type="image/png", size_bytes=10)
"""


@pytest.fixture
async def cell(gateway_settings, world_and_app):
    """`await cell(code, policy={...})` -> the result of one cell, and the app."""

    async def run(code, policy, **sections):
        _, app = await world_and_app(gateway_settings(policy=policy, **sections))
        return await app.gateway.execute(app.stdio_principal(), ExecuteRequest(code)), app

    return run


async def test_a_blocked_field_never_reaches_the_cell(cell):
    result, _ = await cell("print(sorted(image_ops.quota_get()))", {"blocked_fields": ["POLICIES"]})
    assert result.stdout == "['org']\n"
    result, _ = await cell("print(image_ops.quota_get()['policies'][0].keys())", {"blocked_fields": ["remaining"]})
    assert "'limit'" in result.stdout and "remaining" not in result.stdout


@pytest.mark.parametrize(
    ("policy", "code", "rule"),
    [
        ({"read_only_mode": True}, "disabled", "read_only"),
        ({"allow_mutations": False}, "denied", "no_mutations"),
        ({"rollout": "pilot-read"}, "denied", "pilot_read"),
        ({"blocked_operations": ["image_ops:uploads_*"]}, "denied", "blocked_operation"),
        ({"allowed_operations": ["image_ops:quota_get"]}, "denied", "unlisted_operation"),
    ],
)
async def test_a_refusal_reaches_the_cell_with_its_code_and_the_journal_with_its_rule(cell, policy, code, rule):
    result, app = await cell(f"try:\n  {FLOW.strip()}\nexcept ToolError as error:\n  print(error.code)", policy)
    assert result.stdout == f"{code}\n"
    events = await app.gateway.transcript(app.stdio_principal(), result.session_id)
    (called,) = [event for event in events if event["kind"] == "operation_called"]
    assert (called["rule"], called["decision"], called["status"]) == (rule, "deny", code)


async def test_on_trial_a_staging_server_is_read_and_nothing_is_written(gateway_settings, hold):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        _, settings = await hold(embedded_world(gateway_settings()))
    host = settings.upstreams["image_ops"].base_url.removeprefix("http://")
    for staging, printed in ((host, "local\ndenied\n"), ("live.test", "denied\ndenied\n")):
        policy = PolicySettings(rollout="pilot-read", staging_hosts=(staging,))
        app = await hold(running(settings.model_copy(update={"policy": policy}), embedded=True))
        code = """
for call in (image_ops.quota_get, lambda: image_ops.uploads_init(content_type="image/png", size_bytes=1)):
    try:
        print(call()["org"])
    except ToolError as error:
        print(error.code)
"""
        result = await app.gateway.execute(app.stdio_principal(), ExecuteRequest(code))
        assert result.stdout == printed, result.error


async def test_controlled_writes_are_counted(cell):
    code = """
image_ops.quota_get()
image_ops.uploads_init(content_type="image/png", size_bytes=10)
try:
    image_ops.uploads_init(content_type="image/png", size_bytes=10)
except ToolError as error:
    print(error.code, error.message)
for _ in range(3):
    image_ops.quota_get()
try:
    image_ops.quota_get()
except ToolError as error:
    print(error.code, error.message)
"""
    result, _ = await cell(code, {"rollout": "controlled-write"})
    assert result.error is None, result.error
    assert result.stdout.splitlines() == [
        "limited this cell has changed something 1 times; go on in the next cell",
        "limited this cell has made its 5 calls; go on in the next cell",
    ]
