"""A small service of its own: the real broker and real sessions, before a server that only counts who calls it."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from catalog import Catalog, Operation
from catalog.manifest import manifest
from kernel_gateway.approvals.token import Terms
from kernel_gateway.audit.events import Event
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Broker, Cell
from kernel_gateway.handles import Handles
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.limits.meter import Meter
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import MEMORY, LimitSettings
from kernel_gateway.policy.authorizer import baseline_authorizer
from kernel_gateway.policy.plan import ANY, Plan
from kernel_gateway.policy.roles import EVERY, Roles
from kernel_gateway.policy.usable import Usable
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.upstreams.base import UpstreamAnswer
from kernel_gateway.upstreams.hosts import StorageHosts

_ROLE, _SERVER, _STORAGE = "check", "lab", "files.lab.invalid"
_HELD, _NOT_HELD = "lab.use", "lab.vault"
_WAIT_SECONDS = 3.0
_SCOPES = frozenset({_HELD, "kernel.search", "kernel.execute"})


def _operation(name: str, scope: str) -> dict[str, Any]:
    note = {"name": "note", "in": "query", "schema": {"type": "string"}}
    answer = {"description": "done", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "get": {
            "operationId": name,
            "x-effect": "read",
            "summary": f"{name} of the lab",
            "security": [{"oauth": [scope]}],
            "parameters": [note],
            "responses": {"200": answer},
        }
    }


_DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Lab", "version": "1"},
    "paths": {
        **{f"/{name}": _operation(name, _HELD) for name in ("ping", "wait", "crash")},
        "/vault": _operation("vault", _NOT_HELD),
    },
}


class Lab:
    """An upstream in this process. `calls` counts; `crash` fails with `token` in its words."""

    name = _SERVER
    host = "lab"
    storage = StorageHosts((_STORAGE,))

    def __init__(self, token: str) -> None:
        self.calls, self._token = 0, token

    async def call(self, operation: Operation, arguments: Mapping[str, Any], **_: Any) -> UpstreamAnswer:
        self.calls += 1
        if operation.id == "lab:crash":
            raise RuntimeError(self._token)
        if operation.id == "lab:wait":
            await asyncio.sleep(_WAIT_SECONDS)
        return UpstreamAnswer(200, {"ping": "pong"}, False, 16)

    async def fetch(self, url: str, **_: Any) -> tuple[bytes, str]:
        return b"content", "text/plain"

    async def store(self, url: str, data: bytes, **_: Any) -> None:
        """Kept nowhere."""

    async def close(self) -> None:
        """Nothing was opened."""


class Desk:
    """Makes sessions over `take_kernel`; nothing is journalled."""

    def __init__(self, take_kernel: Callable[[], Awaitable[Kernel]], limits: LimitSettings, token: str) -> None:
        self.lab = Lab(token)
        catalog = Catalog.from_openapi(_DOCUMENT, _SERVER)
        self._handles = Handles(time.time, secrets.token_hex)
        authorizer = baseline_authorizer(catalog, limits.max_calls_per_cell, limits.max_calls_per_session)
        self._broker = Broker(
            Usable(catalog, Roles(servers={_ROLE: (EVERY,)})),
            authorizer,
            {_SERVER: self.lab},
            self._handles,
            self,
            Redactor(()),
            limits,
            Meter(limits, Rates(limits.rates, MEMORY, time.time), None),
            secrets.token_bytes(32),
            time.time,
        )
        self._services = Services(
            take_kernel=lambda _: take_kernel(),
            manifest=lambda _: manifest(catalog.only(lambda operation: operation.scope == _HELD)),
            broker=self._broker,
            switch=self,
            record=self.record,
            flush=self._flush,
            digest=lambda *_: "",
            clock=time.time,
            new_id=lambda kind: f"{kind}_{secrets.token_hex(8)}",
            keep_source=self._keep,
        )

    def __repr__(self) -> str:
        return f"<Desk {self.lab.calls} calls>"

    def session(self, subject: str) -> Session:
        owner = Principal("urn:check", "check", subject, "check", _ROLE, _SCOPES, time.time() + 3600.0)
        return Session(f"ses_{secrets.token_hex(8)}", owner, self._services, SessionSettings())

    def permit(self, session: Session) -> Permit:
        """To call whatever its scopes allow: the attacks are on the sandbox, and nobody is there to be asked."""
        identity = session.owner.identity
        terms = Terms("", session.id, identity, (), session.owner.role, session.version, "", "", {})
        return Permit(session.owner, Plan({ANY: LimitSettings().max_requests_per_cell}), "auto", terms, {})

    def blob(self, session: Session) -> str:
        """The id of a blob that `session` may read."""
        handle = self._handles.mint(
            f"https://{_STORAGE}/blob",
            server=_SERVER,
            organisation=session.owner.organisation,
            session_id=session.id,
            direction="read",
            scope=_HELD,
        )
        return handle.id

    def record(self, event: Event, beside: object = None) -> None:
        """Attacks are no session's history."""

    def _keep(self, cell: Cell, code: str) -> None:
        """The text of an attack is in the code already."""

    def refuses(self, *, server: str = "", operation: str = "", role: str = "", front_end: str = "") -> str:
        """Nothing is ever switched off here."""
        return ""

    async def _flush(self) -> None:
        """Nothing waits to be written."""
