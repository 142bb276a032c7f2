"""`/v1/sessions`: what a person or a program does with sessions besides running cells."""

import json
from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.body import read
from kernel_gateway.frontends.handler import Door, Handler
from notebooks.export import notebook

T = TypeVar("T")
SESSION_ID = r"([A-Za-z0-9_-]{1,128})"
MAX_FLAGS = 32  # that one session is handed; more is a list of everything
MAX_FLAG_CHARACTERS = 64  # as of a flag's name in roles.toml


class Sessions(Protocol):
    """The part of the gateway behind these routes. Another's session is GatewayError("not_found")."""

    async def sessions(self, principal: Principal) -> list[dict[str, Any]]: ...

    async def create_session(self, principal: Principal, wanted: Sequence[str], /) -> dict[str, Any]: ...

    async def session(self, principal: Principal, session_id: str, /) -> dict[str, Any]: ...

    async def close_session(self, principal: Principal, session_id: str, /) -> Any: ...

    async def interrupt(self, principal: Principal, session_id: str, /) -> Any: ...

    async def fork(
        self, principal: Principal, session_id: str, at: int, /, *, in_place: bool = False
    ) -> dict[str, Any]: ...

    async def transcript(self, principal: Principal, session_id: str, /) -> list[dict[str, Any]]: ...

    async def history(self, principal: Principal, session_id: str, /) -> list[dict[str, Any]]: ...

    async def source(self, principal: Principal, session_id: str, /) -> dict[str, str]: ...


class Wanted(BaseModel):
    """The body of a POST. Each of `delegate` is a flag of roles.toml; one that is not there is nobody's to hand on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    delegate: list[Annotated[str, StringConstraints(min_length=1, max_length=MAX_FLAG_CHARACTERS)]] = Field(
        [], max_length=MAX_FLAGS
    )


class RestHandler(Handler):
    gateway: Sessions

    def initialize(self, door: Door, gateway: Sessions) -> None:  # type: ignore[override]
        super().initialize(door)
        self.gateway = gateway

    async def mine(self, answer: Awaitable[T]) -> T:
        """What the gateway says of a session; its advice for one that is not there is for callers of `execute`."""
        try:
            return await answer
        except GatewayError as error:
            if error.code != "not_found":
                raise
            raise GatewayError("not_found", "no such session, or not yours; GET /v1/sessions lists yours") from None


class SessionList(RestHandler):
    route = "/v1/sessions"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"GET": ("kernel.read",), "POST": ("kernel.create",)}

    async def get(self) -> None:
        self.reply({"sessions": await self.gateway.sessions(self.principal)})

    async def post(self) -> None:
        """201 with the session, the scopes it holds, and the flags that were handed on and that were not."""
        wanted = read(Wanted, self.request.body or b"{}", '{"delegate": ["delegate_images"]}')
        made = await self.gateway.create_session(self.principal, wanted.delegate)
        self.set_header("Location", f"{self.route}/{made['session_id']}")
        self.reply(made, 201)


class SessionItem(RestHandler):
    route = "/v1/sessions/{id}"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"GET": ("kernel.read",), "DELETE": ("kernel.delete",)}

    async def get(self, session_id: str) -> None:
        self.reply(await self.mine(self.gateway.session(self.principal, session_id)))

    async def delete(self, session_id: str) -> None:
        await self.mine(self.gateway.close_session(self.principal, session_id))
        self.set_status(204)


class Transcript(RestHandler):
    """One JSON object a line, oldest first."""

    route = "/v1/sessions/{id}/transcript"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"GET": ("kernel.read",)}

    async def get(self, session_id: str) -> None:
        events = await self.mine(self.gateway.transcript(self.principal, session_id))
        self.set_header("Content-Type", "application/x-ndjson")
        await self.finish("".join(json.dumps(event) + "\n" for event in events))


class Notebook(RestHandler):
    """An .ipynb: nbformat 4.5. Its text is the agent's, redacted."""

    route = "/v1/sessions/{id}/notebook"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"GET": ("kernel.read",)}

    async def get(self, session_id: str) -> None:
        sources = await self.mine(self.gateway.source(self.principal, session_id))
        events = await self.mine(self.gateway.history(self.principal, session_id))
        self.set_header("Content-Disposition", f'attachment; filename="{session_id}.ipynb"')
        self.set_header("Content-Type", "application/x-ipynb+json")
        await self.finish(json.dumps(notebook(session_id, events, sources)))


class Back(BaseModel):
    """The body of a fork: after which cell it goes on, and whether the session itself goes back there."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: int = Field(ge=1, le=1_000_000)
    in_place: bool = False


class Fork(RestHandler):
    """201 with the new session, or 200 with the one that went back."""

    route = "/v1/sessions/{id}/fork"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"POST": ("kernel.execute",)}

    async def post(self, session_id: str) -> None:
        back = read(Back, self.request.body, '{"at": 3, "in_place": false}')
        forked = await self.mine(self.gateway.fork(self.principal, session_id, back.at, in_place=back.in_place))
        self.set_header("Location", f"{SessionList.route}/{forked['session_id']}")
        self.reply(forked, 200 if back.in_place else 201)


class Interrupt(RestHandler):
    route = "/v1/sessions/{id}/interrupt"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"POST": ("kernel.execute",)}

    async def post(self, session_id: str) -> None:
        await self.mine(self.gateway.interrupt(self.principal, session_id))
        self.set_status(204)


def routes(door: Door, gateway: Sessions) -> list[tuple[str, type[RestHandler], dict[str, Any]]]:
    arguments = {"door": door, "gateway": gateway}
    return [
        (r"/v1/sessions", SessionList, arguments),
        (rf"/v1/sessions/{SESSION_ID}", SessionItem, arguments),
        (rf"/v1/sessions/{SESSION_ID}/transcript", Transcript, arguments),
        (rf"/v1/sessions/{SESSION_ID}/notebook", Notebook, arguments),
        (rf"/v1/sessions/{SESSION_ID}/interrupt", Interrupt, arguments),
        (rf"/v1/sessions/{SESSION_ID}/fork", Fork, arguments),
    ]
