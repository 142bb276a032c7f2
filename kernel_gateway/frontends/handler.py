"""The base of every HTTP handler: the same checks before anything runs, and one way to say what went wrong."""

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar, Protocol

from tornado import web
from tornado.http1connection import HTTP1Connection

from kernel_ext.wire import is_dense
from kernel_gateway.auth.principal import Principal
from kernel_gateway.crash import crashed
from kernel_gateway.errors import CODES, GatewayError
from kernel_gateway.frontends.challenge import BASIC_SCOPES, METADATA_PATH, bearer, challenge, require_scopes
from kernel_gateway.frontends.origin import check_names, check_query
from kernel_gateway.frontends.pace import pace
from kernel_gateway.frontends.settings import ServerSettings
from kernel_gateway.limits.exceeded import ExceededError

_CODE_OF_STATUS = {404: "not_found", 413: "too_large"}  # what Tornado raises by itself; other 4xx are `invalid`


class TokenVerifier(Protocol):
    """auth.verifier.Verifier, as far as a front end knows it."""

    @property
    def issuers(self) -> Iterable[str]: ...

    async def verify(self, token: str) -> Principal: ...


@dataclass(frozen=True, slots=True)
class Door:
    """What all handlers share. `admit` raises where a caller comes too often, `refused` hears of every refusal before
    a call began, and whose it was where that is known, `event_id` names a crash."""

    verifier: TokenVerifier
    settings: ServerSettings
    clock: Callable[[], float]
    event_id: Callable[[], str]
    admit: Callable[[Principal], Awaitable[None]]
    refused: Callable[[GatewayError, Principal | None], None]


class Handler(web.RequestHandler):
    """A route. Raise GatewayError anywhere: it becomes a problem document with the right status and challenge."""

    route: ClassVar[str] = "-"  # what the access log says: the pattern, for a path can hold what a caller typed
    resource_path: ClassVar[str] = ""  # of the protected resource this route belongs to
    public: bool = False
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # method -> scopes
    front_end: ClassVar[str] = "rest"

    door: Door
    principal: Principal
    crash = GatewayError("internal", "internal error; try again, then tell the operator")

    def initialize(self, door: Door) -> None:
        self.door = door

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store, no-transform")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Referrer-Policy", "no-referrer")

    async def prepare(self) -> None:
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            # Tornado turns it off after each response; with Nagle a small frame waits 40 ms for the peer's delayed ACK.
            connection.stream.set_nodelay(True)
        try:
            await self._admit()
        except GatewayError as error:
            self.door.refused(error, getattr(self, "principal", None))
            raise

    async def _admit(self) -> None:
        settings, headers = self.door.settings, self.request.headers
        check_names(headers.get("Host"), headers.get("Origin"), settings.allowed_hosts, settings.allowed_origins)
        check_query(self.request.query_arguments)
        if len(self.request.body) > settings.max_body_bytes:
            raise GatewayError("too_large", f"the body is larger than {settings.max_body_bytes} bytes; send less")
        if is_dense(self.request.body, settings.max_body_values):
            raise GatewayError("too_large", f"the body has more than {settings.max_body_values} values; send fewer")
        if not self.public:
            caller = await self.door.verifier.verify(bearer(headers.get("Authorization")))
            self.principal = replace(caller, front_end=self.front_end)
            await self.door.admit(self.principal)
            require_scopes(self.principal, self.needed_scopes())

    def needed_scopes(self) -> tuple[str, ...]:
        return self.needs.get(self.request.method or "", ())

    def base_url(self) -> str:
        """Scheme and host as the client used them; the host has passed the allow-list."""
        scheme = self.request.protocol
        if self.door.settings.behind_tls_proxy:
            scheme = "http" if self.request.headers.get("X-Forwarded-Proto", "").lower() == "http" else "https"
        return f"{scheme}://{self.request.host.lower()}"

    def resource(self) -> str:
        return self.base_url() + self.resource_path

    def reply(self, value: Mapping[str, Any], status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))

    def compute_etag(self) -> None:
        """None: nothing here may be cached."""

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = _error_in(kwargs)
        super().send_error(error.meaning.http if isinstance(error, GatewayError) else status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """RFC 9457. A crash shows its event id and nothing else."""
        error = _error_in(kwargs)
        if not isinstance(error, GatewayError):
            error = self._anticipated(status_code)
        if error.code in {"unauthenticated", "denied"}:
            scopes = self.needs.get(self.request.method or "") or BASIC_SCOPES
            if header := challenge(error, scopes, self.base_url() + METADATA_PATH + self.resource_path):
                self.set_header("WWW-Authenticate", header)
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self._implemented()))
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(status_code).phrase,
            "status": status_code,
            "detail": error.message,
            "code": error.code,
        }
        if error.retry_after is not None:
            problem["retry_after"] = error.retry_after
            self.set_header("Retry-After", str(math.ceil(error.retry_after)))
        if isinstance(error, ExceededError):
            for name, value in pace(error).items():
                self.set_header(name, value)
        self.set_header("Content-Type", "application/problem+json")
        self.finish(json.dumps(problem))

    def _anticipated(self, status: int) -> GatewayError:
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            return GatewayError("invalid", "this path does not take that method; see the Allow header")
        if status < 500:
            return GatewayError(_CODE_OF_STATUS.get(status, "invalid"), "the request cannot be served as it stands")
        return self.crash

    def _implemented(self) -> list[str]:
        nothing = web.RequestHandler._unimplemented_method
        return [m for m in self.SUPPORTED_METHODS if getattr(type(self), m.lower()) is not nothing]

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Anticipated failures go to the caller alone; a crash also to the log, by kind and place."""
        if value is not None and not isinstance(value, GatewayError | web.HTTPError):
            self.crash = crashed(value, self.route, self.door.event_id)


def _error_in(arguments: Mapping[str, Any]) -> BaseException | None:
    error = arguments.get("exc_info", (None, None, None))[1]
    return error if isinstance(error, BaseException) else None


class NotFound(Handler):
    """Any path that is not a route."""

    public = True

    async def prepare(self) -> None:
        await super().prepare()
        raise GatewayError(
            "not_found",
            "there is nothing at this path; there are "
            f"/mcp, /v1/sessions, /v1/approvals, /v1/switch, /metrics, /healthz, /readyz, {METADATA_PATH}",
        )


assert set(_CODE_OF_STATUS.values()) <= set(CODES)
