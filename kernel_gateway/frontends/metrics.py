"""`/metrics`: what Prometheus scrapes. Who may read it is a setting, for it tells of everybody's use at once."""

import hmac
from collections.abc import Mapping
from typing import ClassVar, Protocol

from kernel_gateway.audit.observation_settings import MetricsSettings
from kernel_gateway.auth.loopback import is_loopback
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.challenge import bearer
from kernel_gateway.frontends.handler import Door, Handler

ROUTE = "/metrics"
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via")


class Readings(Protocol):
    """audit.metrics.Metrics, as far as the routes know it."""

    content_type: str

    def exposition(self) -> bytes: ...

    def requested(self, method: str, route: str, status: int, seconds: float) -> None: ...


class MetricsHandler(Handler):
    route = ROUTE
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"GET": ("kernel.admin",)}

    def initialize(self, door: Door, metrics: Readings, settings: MetricsSettings) -> None:  # type: ignore[override]
        super().initialize(door)
        self._metrics, self._settings = metrics, settings
        self.public = self._is_open()

    async def get(self) -> None:
        self.set_header("Content-Type", self._metrics.content_type)
        await self.finish(self._metrics.exposition())

    def _is_open(self) -> bool:
        """Whether this request needs no scope. What a proxy on this machine passes on is not from this machine."""
        if self._settings.access == "public" or self._brings_the_token():
            return True
        forwarded = any(name in self.request.headers for name in _FORWARDED)
        return self._settings.access == "loopback" and not forwarded and is_loopback(self.request.remote_ip or "")

    def _brings_the_token(self) -> bool:
        expected = self._settings.token.get_secret_value()
        if not expected:
            return False
        try:
            return hmac.compare_digest(bearer(self.request.headers.get("Authorization")), expected)
        except GatewayError:
            return False
