"""The admin socket: HTTP on a Unix socket in the state folder, for this host's operator and nobody else.

Its law: who connects is asked of the kernel (SO_PEERCRED) and of nobody else; there are no tokens.
"""

import asyncio
import json
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tornado import httpserver, web
from tornado.http1connection import HTTP1Connection

from kernel_gateway.approvals.approvers import SCOPE as APPROVE
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.explaining import Asked
from kernel_gateway.frontends.admin_socket import admin_socket
from kernel_gateway.frontends.approvals import (
    APPROVAL,
    APPROVALS,
    ApprovalHandler,
    ApprovalItem,
    ApprovalList,
    Approvals,
)
from kernel_gateway.frontends.body import read
from kernel_gateway.frontends.handler import Door, Handler, NotFound
from kernel_gateway.frontends.rest import SESSION_ID, Back
from kernel_gateway.frontends.switch import ROUTE, Operators, SwitchHandler
from notebooks.document import Plan
from notebooks.export import notebook
from notebooks.replay import Replays, as_lines

POLICY, EXPLAIN, REPLAYS = "/v1/policy", "/v1/policy/explain", "/v1/replays"
ISSUER = "urn:kernel-gateway:admin"
LIFETIME_SECONDS = 60.0  # of what one request may do
_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


class Administrators(Operators, Protocol):
    """administration.Administration."""

    async def sessions(self, principal: Principal, /) -> list[dict[str, Any]]: ...

    async def session(self, principal: Principal, session_id: str, /) -> dict[str, Any]: ...

    def require(self, principal: Principal, /) -> None: ...

    async def history(self, principal: Principal, session_id: str, /) -> list[dict[str, Any]]: ...

    async def source(self, principal: Principal, session_id: str, /) -> dict[str, str]: ...

    async def fork(self, principal: Principal, session_id: str, at: int, /) -> dict[str, Any]: ...

    async def policy(self, principal: Principal, /) -> dict[str, Any]: ...

    async def explain(self, principal: Principal, asked: Asked, /) -> dict[str, Any]: ...


class AdminHandler(Handler):
    front_end = "admin"

    async def _admit(self) -> None:
        self.principal = operator(self._peer(), os.geteuid(), self.door.clock())

    def _peer(self) -> int:
        connection = self.request.connection
        assert isinstance(connection, HTTP1Connection)
        raw = connection.stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid: int = _CREDENTIALS.unpack(raw)[1]
        return uid


class AdminSwitch(AdminHandler, SwitchHandler):
    """As over the port, for whoever may open the socket."""


class AdminSessions(AdminHandler):
    route = "/v1/sessions"

    def initialize(self, door: Door, operators: Administrators) -> None:  # type: ignore[override]
        super().initialize(door)
        self.operators = operators

    async def get(self, session_id: str | None) -> None:
        if session_id:
            self.reply(await self.operators.session(self.principal, session_id))
        else:
            self.reply({"sessions": await self.operators.sessions(self.principal)})


class AdminFork(AdminSessions):
    """As over the port, of anybody's session, which stays its owner's; so does the new one."""

    route = "/v1/sessions/{id}/fork"

    async def post(self, session_id: str) -> None:
        back = read(Back, self.request.body, '{"at": 3}')
        self.reply(await self.operators.fork(self.principal, session_id, back.at), 201)


class AdminNotebook(AdminSessions):
    """As over the port, of anybody's session."""

    route = "/v1/sessions/{id}/notebook"

    async def get(self, session_id: str | None) -> None:
        assert session_id
        sources = await self.operators.source(self.principal, session_id)
        self.reply(notebook(session_id, await self.operators.history(self.principal, session_id), sources))


class Replayed(Plan):
    """The body of a POST."""

    live: bool = False


class AdminReplays(AdminHandler):
    """One JSON object a line, each as soon as it is known; whoever hangs up ends it."""

    route = REPLAYS

    def initialize(self, door: Door, operators: Administrators, replays: Replays) -> None:  # type: ignore[override]
        super().initialize(door)
        self.operators, self.replays = operators, replays
        self._running: asyncio.Task[None] | None = None

    async def post(self) -> None:
        asked = read(Replayed, self.request.body, '{"session_id": "", "cells": [{"id": "", "source": "1 + 1"}]}')
        self.operators.require(self.principal)
        self._running = asyncio.create_task(self._replay(asked))
        await self._running

    def on_connection_close(self) -> None:
        if self._running is not None:
            self._running.cancel()

    async def _replay(self, asked: Replayed) -> None:
        async with self.replays.stage(asked, self.principal, live=asked.live) as stage:
            self.set_header("Content-Type", "application/x-ndjson")
            async with aclosing(as_lines(stage)) as lines:
                async for said in lines:
                    self.write(json.dumps(said) + "\n")
                    await self.flush()


class AdminPolicy(AdminHandler):
    route = POLICY

    def initialize(self, door: Door, operators: Administrators) -> None:  # type: ignore[override]
        super().initialize(door)
        self.operators = operators

    async def get(self) -> None:
        self.reply(await self.operators.policy(self.principal))


class AdminExplain(AdminPolicy):
    route = EXPLAIN

    async def post(self) -> None:
        asked = read(Asked, self.request.body, '{"subject": "ada", "operation": "image_ops:jobs_create"}')
        self.reply(await self.operators.explain(self.principal, asked))


class AdminApproving(AdminHandler, ApprovalHandler):
    """The operator is a person. Callers on stdio have no other: nothing listens on a port there, and whose tokens would
    it be? So it is for their organisation, and no other, that the operator answers."""

    organisation: str

    def initialize(self, door: Door, gateway: Approvals, organisation: str) -> None:  # type: ignore[override]
        super().initialize(door, gateway)
        self.organisation = organisation

    async def _admit(self) -> None:
        await super()._admit()
        scopes = frozenset({APPROVE})
        self.principal = replace(self.principal, organisation=self.organisation, scopes=scopes)


class AdminApprovals(AdminApproving, ApprovalList):
    """As over the port."""


class AdminApproval(AdminApproving, ApprovalItem):
    """As over the port."""


class AdminNotFound(AdminHandler, NotFound):
    """Any other path."""


def operator(uid: int, own: int, now: float) -> Principal:
    """The user behind a connection: this process's own, or root. Raises GatewayError("denied") for anybody else."""
    if uid not in (0, own):
        raise GatewayError("denied", "the admin socket is for the user that runs this gateway, and for root")
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    scopes = frozenset({"kernel.admin"})
    return Principal(ISSUER, "local", name, "command-line", "admin", scopes, now + LIFETIME_SECONDS, "admin")


def admin_application(
    door: Door, operators: Administrators, gateway: Approvals, organisation: str, replays: Replays
) -> web.Application:
    arguments = {"door": door, "operators": operators}
    approving = {"door": door, "gateway": gateway, "organisation": organisation}
    routes: list[Any] = [
        (ROUTE, AdminSwitch, arguments),
        (rf"/v1/sessions(?:/{SESSION_ID})?", AdminSessions, arguments),
        (rf"/v1/sessions/{SESSION_ID}/notebook", AdminNotebook, arguments),
        (rf"/v1/sessions/{SESSION_ID}/fork", AdminFork, arguments),
        (REPLAYS, AdminReplays, {**arguments, "replays": replays}),
        (POLICY, AdminPolicy, arguments),
        (EXPLAIN, AdminExplain, arguments),
        (APPROVALS, AdminApprovals, approving),
        (APPROVAL, AdminApproval, approving),
    ]
    return web.Application(
        routes, default_handler_class=AdminNotFound, default_handler_args={"door": door}, log_function=lambda _: None
    )


@asynccontextmanager
async def administered(
    folder: Path, door: Door, operators: Administrators, gateway: Approvals, organisation: str, replays: Replays
) -> AsyncIterator[None]:
    """Serves the admin socket of this state folder until the context ends; `organisation` is that of callers on stdio.
    Raises ConfigError."""
    with admin_socket(folder) as made:
        application = admin_application(door, operators, gateway, organisation, replays)
        server = httpserver.HTTPServer(application, max_body_size=door.settings.max_body_bytes)
        server.add_socket(made)
        try:
            yield
        finally:
            server.stop()
            await server.close_all_connections()
