"""The `[server]` section: where the service listens, by which names it may be reached, and its transport's limits."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from kernel_gateway.config import Section
from kernel_gateway.frontends.origin import valid_host_pattern, valid_origin_pattern

_LOOPBACK = ("localhost:*", "127.0.0.1:*", "[::1]:*")


class ServerSettings(Section):
    """`name`, `name:8443` or `name:*` (any port, or none) in the allow-lists; an origin begins with its scheme."""

    host: str = "127.0.0.1"
    port: int = Field(default=8888, ge=0, le=65535)
    port_search: int = Field(
        default=20, ge=1, le=1000
    )  # ports tried from `port` up where a busy one may be passed over
    allowed_hosts: tuple[str, ...] = _LOOPBACK
    allowed_origins: tuple[str, ...] = tuple(f"{scheme}://{host}" for scheme in ("http", "https") for host in _LOOPBACK)
    tls_certificate: Path | None = None  # PEM, chain included
    tls_key: Path | None = None
    behind_tls_proxy: bool = False  # a proxy in front terminates TLS and sets X-Forwarded-Proto
    max_body_values: int = Field(default=10_000, ge=100)  # of JSON: an honest request has a few dozen
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)  # a cell is 64 KiB, six times that if all is escaped
    max_anonymous_body_bytes: int = Field(default=64 * 1024, ge=1024)  # what of a body is kept for nobody yet known
    max_header_bytes: int = Field(default=32 * 1024, ge=8 * 1024)  # a token of 8 KiB and everything else a client sends
    body_seconds: float = Field(default=30, gt=0)  # a body that takes longer is a client that holds a connection open
    idle_connection_seconds: float = Field(default=120, gt=0)  # an agent thinks between calls; a handshake is cheap
    mcp_session_idle_seconds: float = Field(default=1800, gt=0)  # legacy protocol sessions only; kernels have their own
    max_connections: int = Field(default=500, ge=1)  # half of a usual 1,024 descriptors; kernels need the others
    max_mcp_sessions: int = Field(default=1000, ge=1)  # legacy protocol sessions; each holds a task and two streams
    max_mcp_sessions_per_principal: int = Field(default=100, ge=1)  # an agent holds one, a team behind a token some

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [host for host in hosts if not valid_host_pattern(host)]:
            raise ValueError(f"`{wrong[0]}` is not `name`, `name:port` or `name:*`")
        return hosts

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [origin for origin in origins if not valid_origin_pattern(origin)]:
            raise ValueError(f"`{wrong[0]}` is not `https://name`, `https://name:port` or `https://name:*`")
        return origins

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; set both or neither")
        return self
