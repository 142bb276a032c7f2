"""The `[auth]` section: whose tokens are believed, what their claims are called, and who a caller on stdio is."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from kernel_gateway.auth.loopback import is_loopback
from kernel_gateway.config import Section

Algorithm = Literal["RS256", "ES256", "EdDSA"]


class ClaimSettings(Section):
    """The claim that holds each part of a principal. `scope` may be a space separated string or a list."""

    subject: str = "sub"
    organisation: str = "org"
    client: str = "client_id"
    role: str = "role"
    scope: str = "scope"


class IssuerSettings(Section):
    """One authorization server whose access tokens are accepted. `issuer` is compared exactly with `iss`."""

    issuer: str = Field(min_length=1)
    jwks_url: str
    audience: str = ""  # empty: auth.audience
    organisation: str = (
        ""  # an issuer of one organisation need not name it and may name no other; empty: any it names (only if alone)
    )
    # An operator's mapping wins over the claim. It belongs to one issuer: another may call somebody else by that name.
    subject_roles: dict[str, str] = Field(default_factory=dict)
    client_roles: dict[str, str] = Field(default_factory=dict)

    @field_validator("jwks_url")
    @classmethod
    def _fetched_safely(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError("must be an https URL without credentials or fragment")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must be https; plain http is for loopback only")
        return url


class StdioSettings(Section):
    """Who the caller on stdio is: there is no token, the operator who starts the process decides."""

    subject: str = Field(default="local", min_length=1)
    organisation: str = Field(default="local", min_length=1)
    client: str = Field(default="stdio", min_length=1)
    role: str = Field(default="dev", min_length=1)
    scopes: tuple[str, ...] = ("kernel.search", "kernel.execute", "kernel.read", "kernel.delete")


class AuthSettings(Section):
    """How bearer tokens are verified."""

    audience: str = Field("urn:kernel-gateway", min_length=1)
    issuers: tuple[IssuerSettings, ...] = ()
    claims: ClaimSettings = ClaimSettings()
    stdio: StdioSettings = StdioSettings()
    default_role: str = Field("dev", min_length=1)  # where neither a claim nor a mapping names one
    roles: Path | None = None  # which servers each role sees; unset: kernel_gateway/policy/roles.toml
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256", "EdDSA"), min_length=1)
    leeway_seconds: float = Field(5, ge=0, le=60)  # clocks kept by NTP differ by less
    max_token_bytes: int = Field(8 * 1024, ge=512)  # no real access token is larger; bounds parsing before trust
    token_cache_size: int = Field(1024, ge=0)  # verified tokens; a signature check costs 0.1 ms
    token_cache_seconds: float = Field(60, ge=0)  # how long a withdrawn key may still let a known token in
    jwks_ttl_seconds: float = Field(300, gt=0)  # how soon a key withdrawn by the issuer is noticed
    jwks_cooldown_seconds: float = Field(30, gt=0)  # an unknown `kid` is anyone's to send; it may not drive fetches
    jwks_retry_seconds: float = Field(5, gt=0)  # after a failed fetch
    jwks_stale_seconds: float = Field(3600, gt=0)  # an issuer may be down this long before its tokens are refused
    jwks_timeout_seconds: float = Field(5, gt=0)  # a request with a key we have never seen waits for this at worst
    jwks_patience_seconds: float = Field(0.5, ge=0)  # one with a key we have kept; any issuer in health answers sooner
    max_jwks_bytes: int = Field(256 * 1024, ge=1024)  # some 100 keys with certificate chains

    @model_validator(mode="after")
    def _issuers_are_distinct(self) -> Self:
        if len({each.issuer for each in self.issuers}) != len(self.issuers):
            raise ValueError("two entries of auth.issuers name the same issuer; keep one")
        # Each could name the other's organisation and be believed.
        if len(self.issuers) > 1 and not all(each.organisation for each in self.issuers):
            raise ValueError("with several auth.issuers each needs its `organisation`; add it")
        return self
