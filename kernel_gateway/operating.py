"""The commands that speak to a running gateway, through the admin socket of its state folder."""

import argparse
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.frontends.admin_socket import admin_sockets, reachable
from kernel_gateway.frontends.approvals import APPROVALS
from kernel_gateway.frontends.switch import ROUTE
from kernel_gateway.settings import Settings

TIMEOUT_SECONDS = 30.0  # switching off waits for the end of what it stops


class NoGatewayError(ConfigError):
    """No gateway runs on the state folder."""


async def switch(settings: Settings, options: argparse.Namespace) -> int:
    """Sets it, or without on or off says what is off. Those that share the folder learn of it from one another."""
    if options.state is None:
        (state, *_) = await ask(settings, "GET", ROUTE)
    else:
        names = {name: getattr(options, name) for name in ("server", "operation", "role", "front_end")}
        named = {name: value for name, value in names.items() if value is not None}
        body = {"execute": options.state, "reason": options.reason, **named}
        (state, *_) = await ask(settings, "PUT", ROUTE, body)
    print(json.dumps(state) if options.json else "\n".join(switch_lines(state)))
    return 0


async def sessions_list(settings: Settings, options: argparse.Namespace) -> int:
    """Of every gateway of the state folder."""
    found = [each for answer in await ask(settings, "GET", "/v1/sessions") for each in answer["sessions"]]
    if options.json:
        print(json.dumps({"sessions": found}))
    elif found:
        print("\n".join(map(session_line, found)))
    return 0


async def sessions_show(settings: Settings, options: argparse.Namespace) -> int:
    """One session and its transcript."""
    (found, *_) = await ask(settings, "GET", f"/v1/sessions/{options.id}")
    if options.json:
        print(json.dumps(found))
        return 0
    print(session_line(found))
    for event in found["transcript"]:
        print(event_line(event))
    return 0


async def sessions_fork(settings: Settings, options: argparse.Namespace) -> int:
    """A new session of the same owner, which goes on after a cell of this one."""
    (forked, *_) = await ask(settings, "POST", f"/v1/sessions/{options.id}/fork", {"at": options.at})
    print(json.dumps(forked) if options.json else session_line(forked))
    return 0


async def sessions_export(settings: Settings, options: argparse.Namespace) -> int:
    """One session as a notebook. A file that is there is left alone."""
    (notebook, *_) = await ask(settings, "GET", f"/v1/sessions/{options.id}/notebook")
    try:
        with options.output.open("x", encoding="utf-8") as file:
            options.output.chmod(0o600)  # it holds what an agent wrote
            json.dump(notebook, file, indent=1)
            file.write("\n")
    except OSError as error:
        raise ConfigError(f"cannot write `{options.output}`: {error.strerror}; name another file") from None
    code = sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    print(json.dumps({"file": str(options.output), "cells": code}) if options.json else f"{code} cells")
    return 0


async def approvals_list(settings: Settings, options: argparse.Namespace) -> int:
    """What waits for another person, of the callers on stdio."""
    found = [each for answer in await ask(settings, "GET", APPROVALS) for each in answer["approvals"]]
    if options.json:
        print(json.dumps({"approvals": found}))
    elif found:
        print("\n\n".join("\n".join(approval_lines(each)) for each in found))
    return 0


async def approvals_decide(settings: Settings, options: argparse.Namespace) -> int:
    """The operator's own answer to one of them."""
    body = {"decision": options.decision}
    (decided, *_) = await ask(settings, "POST", f"{APPROVALS}/{options.id}", body)
    print(json.dumps(decided) if options.json else f"{decided['id']} is {decided['verdict']}")
    return 0


def approval_lines(approval: Mapping[str, Any]) -> list[str]:
    """The question as it was put, and the code as it stands."""
    asker = approval["asker"]
    who = f"{approval['kind']} of {asker['subject']} via {asker['client']}, risk {approval['risk']}"
    head = f"{approval['id']}  {who}, until {approval['expires_at']}"
    code = [f"  | {line}" for line in approval["code"].split("\n")]
    return [_shown(line) for line in (head, *approval["question"].split("\n"), *code)]


def switch_lines(state: Mapping[str, Any]) -> list[str]:
    """What holds now, one line a thing that is off."""
    lines = [f"execute is {state['execute']}"]
    for off in state["off"]:
        what = off["part"].replace("_", " ") + (f" {off['name']}" if off["name"] else "")
        why = f": {off['reason']}" if off["reason"] else ""
        lines.append(f"off: {what}, by {off['by'] or 'nobody'} at {_when(off['at'])}{why}")
    return lines


def session_line(session: Mapping[str, Any]) -> str:
    """For a person; `--json` has everything."""
    owner = _shown(f"{session['organisation']}/{session['subject']} via {session['client']}")
    counts = f"{session['cells']} cells, {session['calls']} calls"
    return f"{session['session_id']}  {session['state']}  {counts}  {owner}  used {_when(session['used_at'])}"


def event_line(event: Mapping[str, Any]) -> str:
    """What happened, and of a refusal and an answer by whom and why."""
    said = [event.get(name, "") for name in ("operation", "action", "status", "outcome", "reason", "code")]
    if event["kind"] == "refused" or event.get("decision") == "deny":
        said.append(event["rule"])
    if event["kind"] == "approval_ended":
        said.append(f"by {event['subject']}")
    return f"{_when(event['at'])}  {event['kind']}  {_shown(' '.join(filter(None, said)))}".rstrip()


def _shown(text: str) -> str:
    """What an issuer put into a token, without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + "Z"


async def ask(
    settings: Settings, method: str, path: str, body: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The answer of each live gateway that has one; a change ends with the first. Raises GatewayError as they answer
    it."""
    folder, answers, refusal = settings.store.folder, list[dict[str, Any]](), None
    for name in admin_sockets(folder):
        if (response := await _exchange(folder, name, method, path, body)) is None:
            continue
        answer = response.json()
        if response.is_success:
            answers.append(answer)
            if method != "GET":
                break
        else:
            refusal = GatewayError(answer["code"], answer["detail"])
    if answers:
        return answers
    raise refusal or _no_gateway(folder)


async def stream(settings: Settings, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    """The lines with which the first live gateway answers, as they come. Raises GatewayError as it says."""
    folder = settings.store.folder
    for name in admin_sockets(folder):
        with reachable(folder) as short:
            transport = httpx2.AsyncHTTPTransport(uds=str(short / name))
            async with (
                httpx2.AsyncClient(transport=transport, base_url="http://admin", timeout=None) as http,
                _opened(http, path, body) as response,
            ):
                if response is None:
                    continue
                if not response.is_success:
                    answer = json.loads(await response.aread())
                    raise GatewayError(answer["code"], answer["detail"])
                async for line in response.aiter_lines():
                    yield json.loads(line)
                return
    raise _no_gateway(folder)


@asynccontextmanager
async def _opened(
    http: httpx2.AsyncClient, path: str, body: Mapping[str, Any]
) -> AsyncIterator[httpx2.Response | None]:
    """None where nobody listens."""
    try:
        request = http.build_request("POST", path, json=body)
        response = await http.send(request, stream=True)
    except httpx2.ConnectError:
        yield None
        return
    try:
        yield response
    finally:
        await response.aclose()


def _no_gateway(folder: Path) -> NoGatewayError:
    return NoGatewayError(
        f"no gateway runs on the state folder `{folder}`; start it, or set KG_STORE__FOLDER to its folder"
    )


async def _exchange(
    folder: Path, name: str, method: str, path: str, body: Mapping[str, Any] | None
) -> httpx2.Response | None:
    """None where the gateway of this socket is gone. Raises GatewayError where it cannot be spoken to."""
    with reachable(folder) as short:
        transport = httpx2.AsyncHTTPTransport(uds=str(short / name))
        async with httpx2.AsyncClient(transport=transport, base_url="http://admin", timeout=TIMEOUT_SECONDS) as http:
            try:
                return await http.request(method, path, json=body)
            except httpx2.ConnectError:
                return None
            except httpx2.TransportError as error:
                raise GatewayError("internal", f"`{name}` does not answer: {type(error).__name__}") from None
