"""A risky cell over MCP: the client's user is asked in both protocol eras, a person answers over HTTP."""

import os
import sys
import time
from functools import partial
from types import SimpleNamespace

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.server import request_state
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitResult

from kernel_gateway.commands import AGENT_SCOPES
from kernel_gateway.frontends.listener import bind
from kernel_gateway.reference.world import image_ops_catalog
from tests.acceptance.conftest import IMAGE, Agent

DELETE = "image_ops.cleanup_create(ids=['job_11111111'], idempotency_key='k1')\nprint('gone on')"
CLEANUP = image_ops_catalog().get("image_ops:cleanup_create")
CRITICAL = "f = open\nexec('x = 1')\n" + DELETE


@pytest.fixture
def by_person():
    """Whether an operator's rule has every deletion approved by another person."""
    return False


@pytest.fixture
async def service(run_folder, gateway_settings, world_and_app, hold, by_person):
    """As every service is by default: what cannot be undone is asked about."""
    (run_folder / "own.cedar").write_text(DELETIONS_NEED_A_PERSON)
    settings = gateway_settings(
        policy={"auto_approve_risk": "medium", "files": [str(run_folder / "own.cedar")] if by_person else []},
        approvals={"join_seconds": 0.2, "pause_seconds": 900},
    )
    world, app = await world_and_app(settings)
    bound = bind("127.0.0.1", 0)
    await hold(app.serving(bound))
    scopes = (*AGENT_SCOPES, *(operation.scope for operation in world.catalog.operations))
    return world, app, f"http://127.0.0.1:{bound.port}", world.mint("agent", " ".join(scopes))


DELETIONS_NEED_A_PERSON = """
@id("deletions_need_a_person")
@code("approval_required")
@approver("person")
@reason("a deletion has to be approved by another person first")
forbid (principal, action == Kernel::Action::"delete", resource)
unless { context.approved };
"""


class User:
    """Whoever sits before the client; `says` are the answers to come, then always yes."""

    def __init__(self, *says):
        self.says, self.asked = list(says), []

    async def __call__(self, context, params):
        self.asked.append(params.message)
        assert params.requested_schema["properties"]["approve"]["type"] == "boolean"
        said = self.says.pop(0) if self.says else True
        if said is None:
            return ElicitResult(action="cancel")
        return ElicitResult(action="accept", content={"approve": said})


@pytest.fixture
def connect_as(service, hold, run_folder):
    async def to(mode, user=None, token=""):
        world, app, url, own = service
        http = await hold(httpx2.AsyncClient(headers={"Authorization": f"Bearer {token or own}"}, timeout=60))
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        client = await hold(Client(transport, mode=mode, elicitation_callback=user))
        return Agent(client, run_folder, token or own, world, app, url, objects=world.storage_folder)

    return to


@pytest.fixture(params=["auto", "legacy"])
def connect(request, connect_as):
    """`connect(user)` -> an agent whose client puts questions to `user`, in both protocol eras."""
    return partial(connect_as, request.param)


@pytest.fixture
async def person(service, hold):
    """`person(subject, **claims)` -> an HTTP client with a person's token."""

    async def sign_in(subject="bob", scope="kernel.approve", **claims):
        world, _, url, _ = service
        token = world.mint(subject, scope, **{"client": "console", **claims})
        return await hold(httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}))

    return sign_in


async def test_the_user_is_asked_about_the_cell_and_then_about_the_call_and_it_runs_once(connect):
    user = User()
    agent = await connect(user)
    result, content = await agent.execute(DELETE)
    assert (result["status"], result["stdout"], result["execution_count"]) == ("ok", "gone on\n", 1)
    assert [each.split("\n")[0] for each in user.asked] == [
        "An agent wants to run a cell of 2 lines.",
        f"A running cell wants to call image_ops:cleanup_create: {CLEANUP.summary}.",
    ]
    assert [call["status"] for call in result["calls"]] == ["ok"]
    assert content[0].text.startswith("session ")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_on_stdio_the_user_is_asked_too(run_folder, hold, mode):
    environment = {**os.environ, "KG_STORE__FOLDER": str(run_folder / "stdio"), "KG_SANDBOX__IMAGE": str(IMAGE)}
    arguments = ["-m", "kernel_gateway", "mcp"]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=environment, cwd=run_folder)
    user = User()
    client = await hold(Client(command, mode=mode, elicitation_callback=user))
    result, _ = await Agent(client, run_folder).execute(DELETE)
    assert (result["status"], len(user.asked)) == ("ok", 2)


@pytest.mark.parametrize("said", [False, None])
async def test_what_the_user_denies_or_closes_does_not_run(connect, said):
    user = User(said)
    agent = await connect(user)
    result, _ = await agent.execute(DELETE)
    assert (result["status"], result["code"], len(user.asked)) == ("denied", "approval_denied", 1)


async def test_a_denied_call_is_a_tool_error_in_the_cell(connect):
    agent = await connect(User(True, False))
    result, _ = await agent.execute(DELETE)
    assert (result["status"], result["error"]["ename"]) == ("error", "ToolError")
    assert "was denied; nothing was sent" in result["error"]["evalue"]
    assert [call["status"] for call in result["calls"]] == ["approval_denied"]


async def test_a_client_that_cannot_ask_gets_the_token_and_brings_it_back(connect):
    agent = await connect()
    asked, content = await agent.execute(DELETE)
    assert asked["status"] == "approval_required" and "code" not in asked
    assert asked["review"]["operations"] == ["image_ops:cleanup_create"]
    assert asked["review"]["risk"] == "high" and asked["review"]["reasons"]
    assert "ask the user" in content[0].text
    paused, _ = await agent.execute(DELETE, approval_token=asked["approval"]["token"], request_id="r")
    assert (paused["status"], paused["execution_count"]) == ("paused", 1)
    result, _ = await agent.execute(DELETE, approval_token=paused["approval"]["token"], request_id="r")
    assert (result["status"], result["stdout"]) == ("ok", "gone on\n")


async def test_validate_only_asks_nobody_and_runs_nothing(connect):
    user = User()
    agent = await connect(user)
    result, _ = await agent.execute(DELETE, validate_only=True)
    assert (result["status"], user.asked) == ("approval_required", [])
    plain, _ = await agent.execute("image_ops.quota_get().org", validate_only=True)
    assert plain["status"] == "ok" and plain["approval"]["token"].startswith("kga_")
    ran, _ = await agent.execute("image_ops.quota_get().org", approval_token=plain["approval"]["token"])
    assert ran["status"] == "ok" and "review" not in ran
    bad, _ = await agent.execute("1", approval_token=plain["approval"]["token"])
    assert (bad["status"], bad["code"]) == ("denied", "approval_used")


async def test_a_sealed_answer_is_for_the_very_call_that_was_asked_about(connect_as):
    session = (await connect_as("auto", User())).client.session
    first = await session.call_tool("execute", {"code": DELETE}, allow_input_required=True)
    assert first.result_type == "input_required"
    yes = {"approval": ElicitResult(action="accept", content={"approve": True})}

    async def again(code, answers):
        return await session.call_tool(
            "execute",
            {"code": code},
            allow_input_required=True,
            input_responses=answers,
            request_state=first.request_state,
        )

    with pytest.raises(MCPError, match="requestState"):
        await again(DELETE + "\n1", yes)
    assert (await again(DELETE, {})).structured_content["code"] == "invalid"
    assert (await again(DELETE, yes)).result_type == "input_required"  # the cell runs; the call is the next question
    assert (await again(DELETE, yes)).structured_content["code"] == "approval_used"


async def test_a_sealed_answer_counts_as_long_as_its_question_is_open(connect_as, monkeypatch):
    session = (await connect_as("auto", User())).client.session
    yes = {"approval": ElicitResult(action="accept", content={"approve": True})}

    async def answered(before):
        given = {"input_responses": yes, "request_state": before.request_state} if before is not None else {}
        return await session.call_tool("execute", {"code": DELETE}, allow_input_required=True, **given)

    paused = await answered(await answered(None))
    assert paused.result_type == "input_required"
    monkeypatch.setattr(request_state, "time", SimpleNamespace(time=lambda: time.time() + 800))
    assert (await answered(paused)).structured_content["status"] == "ok"


async def test_what_is_critical_waits_for_another_person(connect_as, person):
    user = User()
    agent = await connect_as("auto", user)
    asked, content = await agent.execute(CRITICAL)
    assert asked["review"]["risk"] == "critical"
    assert (asked["status"], user.asked) == ("approval_required", [])
    assert "another person has to approve it" in content[0].text
    bob = await person()
    (waiting,) = (await bob.get("/v1/approvals")).json()["approvals"]
    assert waiting["id"] == asked["approval"]["id"] and waiting["asker"]["subject"] == "agent"
    assert "cleanup_create" in waiting["question"] and waiting["code"] == CRITICAL
    again, _ = await agent.execute(CRITICAL, approval_token=asked["approval"]["token"])
    assert (again["status"], again["approval"]["id"]) == ("approval_required", waiting["id"])
    decided = await bob.post(f"/v1/approvals/{waiting['id']}", json={"decision": "approve"})
    assert (decided.status_code, decided.json()["verdict"]) == (200, "approved")
    assert (await bob.post(f"/v1/approvals/{waiting['id']}", json={"decision": "deny"})).status_code == 409
    result, _ = await agent.execute(CRITICAL, approval_token=asked["approval"]["token"])
    assert result["status"] == "ok", result
    assert len(user.asked) == 1  # the call, whose own risk is high


@pytest.mark.parametrize("by_person", [True])
async def test_a_call_that_needs_a_person_pauses_its_cell_and_goes_on_after_the_answer(connect, person):
    user = User()
    agent = await connect(user)
    cell = "before = 41\n" + DELETE + "\nbefore + 1"
    paused, content = await agent.execute(cell, request_id="r")
    assert (paused["status"], paused["execution_count"], len(user.asked)) == ("paused", 1, 1)
    assert paused["approval"].keys() == {"id", "expires_at"} and "code" not in paused
    assert "waits for an approval" in content[0].text
    still, _ = await agent.execute(cell, request_id="r")
    assert (still["status"], still["approval"]) == ("paused", paused["approval"])
    bob = await person()
    (waiting,) = (await bob.get("/v1/approvals")).json()["approvals"]
    assert (waiting["kind"], waiting["operations"]) == ("call", ["image_ops:cleanup_create"])
    assert 'ids: ["job_11111111"]' in waiting["question"]
    await bob.post(f"/v1/approvals/{waiting['id']}", json={"decision": "approve"})
    result, _ = await agent.execute(cell, request_id="r")
    assert (result["status"], result["result"], result["execution_count"]) == ("ok", "42", 1)
    again, _ = await agent.execute(cell, request_id="r")
    assert again == result


async def test_what_a_person_denies_stays_denied(connect_as, person):
    agent = await connect_as("auto")
    asked, _ = await agent.execute(CRITICAL)
    bob = await person()
    await bob.post(f"/v1/approvals/{asked['approval']['id']}", json={"decision": "deny"})
    result, _ = await agent.execute(CRITICAL, approval_token=asked["approval"]["token"])
    assert (result["status"], result["code"]) == ("denied", "approval_denied")
    assert (await bob.get("/v1/approvals")).json() == {"approvals": []}


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({"subject": "agent"}, 404),
        ({"organisation": "globex"}, 404),
        ({"scope": "kernel.execute"}, 403),
        ({"client": "agent"}, 403),
    ],
)
async def test_nobody_else_approves(connect_as, person, who, status):
    asked, _ = await (await connect_as("auto")).execute(CRITICAL)
    stranger = await person(**who)
    answer = await stranger.post(f"/v1/approvals/{asked['approval']['id']}", json={"decision": "approve"})
    listed = await stranger.get("/v1/approvals")
    assert answer.status_code == status
    assert listed.json() == {"approvals": []} if status == 404 else listed.status_code == status


async def test_an_agents_own_token_with_the_scope_approves_nothing_and_its_session_does_not_hold_it(
    connect_as, service
):
    world, app, url, _ = service
    scopes = (*AGENT_SCOPES, "kernel.approve", *(operation.scope for operation in world.catalog.operations))
    agent = await connect_as("auto", token=world.mint("agent", " ".join(scopes)))
    asked, _ = await agent.execute(CRITICAL)
    (session,) = app.gateway._places._open.values()
    assert "kernel.approve" not in session.grant
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {agent.token}"}) as http:
        answer = await http.post(f"{url}/v1/approvals/{asked['approval']['id']}", json={"decision": "approve"})
        assert (answer.status_code, (await http.get(f"{url}/v1/approvals")).status_code) == (403, 403)


async def test_what_is_not_understood_is_neither_a_yes_nor_a_no(connect_as, person):
    asked, _ = await (await connect_as("auto")).execute(CRITICAL)
    bob = await person()
    for body in (b"", b"yes", b"{}", b'{"decision": "maybe"}', b'{"decision": ["approve"]}', b'["approve"]'):
        answer = await bob.post(f"/v1/approvals/{asked['approval']['id']}", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert len((await bob.get("/v1/approvals")).json()["approvals"]) == 1
