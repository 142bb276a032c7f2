"""The `[metrics]`, `[logs]` and `[traces]` sections: what an operator sees of the service while it runs."""

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from kernel_gateway.config import Section


class MetricsSettings(Section):
    """Who may read `/metrics`. It names no user, session or organisation, and still says what others do, and how much.

    `token`: whoever brings `kernel.admin`, or the scraper's own `metrics.token`, which is good for nothing else.
    `loopback`: also any program of this machine. `public`: also anybody who reaches the port.
    """

    access: Literal["token", "loopback", "public"] = "token"
    token: SecretStr = SecretStr("")

    @field_validator("token")
    @classmethod
    def _cannot_be_guessed(cls, token: SecretStr) -> SecretStr:
        value = token.get_secret_value()
        if value and (len(value) < 32 or not (value.isascii() and value.isprintable()) or " " in value):
            raise ValueError("write at least 32 random characters, such as those of `openssl rand -hex 32`")
        return token


class LogSettings(Section):
    """What goes to stderr. Secrets are removed from either format."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "warning"  # `info` has a line for each HTTP request


class TraceSettings(Section):
    """Traces go out where `endpoint` is set, and nowhere else."""

    endpoint: str = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    sample_ratio: float = Field(default=1.0, ge=0, le=1)  # of the traces that begin here
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)  # the SDK's own; a stop waits for this at most

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("`endpoint` is the URL for OTLP over HTTP, such as https://collector:4318/v1/traces")
        return self
