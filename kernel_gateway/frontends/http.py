"""The Tornado application: every route of the one port."""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from tornado import web
from tornado.httputil import HTTPConnection, HTTPMessageDelegate

from kernel_gateway.audit.observation_settings import MetricsSettings
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends import approvals, rest
from kernel_gateway.frontends.admission import Admission
from kernel_gateway.frontends.asgi import AsgiApp
from kernel_gateway.frontends.challenge import METADATA_PATH, TOOL_SCOPES, metadata
from kernel_gateway.frontends.endpoint import McpHandler
from kernel_gateway.frontends.handler import Door, Handler, NotFound, TokenVerifier
from kernel_gateway.frontends.metrics import ROUTE as ROUTE_OF_METRICS
from kernel_gateway.frontends.metrics import MetricsHandler, Readings
from kernel_gateway.frontends.settings import ServerSettings
from kernel_gateway.frontends.switch import ROUTE, Operators, SwitchHandler

access = logging.getLogger("kernel_gateway.access")


class Gateway(rest.Sessions, approvals.Approvals, Protocol):
    """What the routes need of the outer door."""

    def ready(self) -> tuple[bool, list[str]]: ...


class Metadata(Handler):
    """RFC 9728, for the service as a whole and for `/mcp`."""

    route = METADATA_PATH
    public = True

    async def get(self, path: str | None) -> None:
        self.reply(metadata(self.base_url() + (path or ""), self.door.verifier.issuers))


class Health(Handler):
    """The process answers."""

    route = "/healthz"
    public = True

    async def get(self) -> None:
        self.reply({"status": "ok"})


class Ready(Handler):
    """Whether cells can run now; 503 with the reasons where not."""

    route = "/readyz"
    public = True

    def initialize(self, door: Door, gateway: Gateway) -> None:  # type: ignore[override]
        super().initialize(door)
        self.gateway = gateway

    async def get(self) -> None:
        ready, reasons = self.gateway.ready()
        self.reply({"ready": ready, "reasons": reasons}, 200 if ready else 503)


async def everybody(principal: Principal) -> None:
    """Where no rates are kept."""


def application(
    gateway: Gateway,
    operators: Operators,
    verifier: TokenVerifier,
    mcp_app: AsgiApp,
    settings: ServerSettings,
    *,
    tool_scopes: Mapping[str, tuple[str, ...]] = TOOL_SCOPES,
    admit: Callable[[Principal], Awaitable[None]] = everybody,
    refused: Callable[[GatewayError, Principal | None], None] = lambda error, who: None,
    clock: Callable[[], float] = time.time,
    event_id: Callable[[], str] = lambda: secrets.token_hex(8),
    metrics: Readings | None = None,
    metrics_settings: MetricsSettings | None = None,
) -> web.Application:
    """`mcp_app` is `endpoint.session_manager(...).asgi_app`; its `run()` must be entered while this serves."""
    door = Door(verifier, settings, clock, event_id, admit, refused)
    routes: list[Any] = [
        (r"/mcp", McpHandler, {"door": door, "app": mcp_app, "tool_scopes": tool_scopes}),
        (rf"{METADATA_PATH}(/mcp)?", Metadata, {"door": door}),
        (r"/healthz", Health, {"door": door}),
        (r"/readyz", Ready, {"door": door, "gateway": gateway}),
        *rest.routes(door, gateway),
        *approvals.routes(door, gateway),
        (ROUTE, SwitchHandler, {"door": door, "operators": operators}),
    ]
    if metrics is not None:
        arguments = {"door": door, "metrics": metrics, "settings": metrics_settings or MetricsSettings()}
        routes.append((ROUTE_OF_METRICS, MetricsHandler, arguments))
    return _Routes(
        door,
        routes,
        default_handler_class=NotFound,
        default_handler_args={"door": door},
        log_function=partial(_log, metrics.requested if metrics else _uncounted),
    )


class _Routes(web.Application):
    """As Tornado's, with the bodies of callers who are not known yet kept short."""

    def __init__(self, door: Door, routes: list[Any], **settings: Any) -> None:
        super().__init__(routes, **settings)
        self._door = door

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        request = super().start_request(server_conn, request_conn)
        return Admission(request, self._door.verifier, self._door.settings)


def _log(requested: Callable[[str, str, int, float], None], handler: web.RequestHandler) -> None:
    """Method, route pattern, status, time: nothing a caller typed."""
    request = handler.request
    route = handler.route if isinstance(handler, Handler) else "-"
    method = request.method if request.method in handler.SUPPORTED_METHODS else "-"
    access.info("%d %s %s %.1f ms", handler.get_status(), method, route, 1000 * request.request_time())
    requested(method or "-", route, handler.get_status(), request.request_time())


def _uncounted(method: str, route: str, status: int, seconds: float) -> None:
    """Where nobody counts."""
