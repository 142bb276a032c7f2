"""Which servers each role sees, and what can be handed to a session by name: roles.toml, read strictly."""

import tomllib
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from kernel_gateway.auth.settings import AuthSettings
from kernel_gateway.config import Section, complaint
from kernel_gateway.errors import ConfigError

EVERY = "*"
OWN = "kernel."  # begins the service's own scopes, which nobody can hand on

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]  # as of any name in a token
Flag = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


def _of_operations(scopes: tuple[str, ...]) -> tuple[str, ...]:
    if not scopes or any(not scope or scope.startswith(OWN) for scope in scopes):
        raise ValueError("a flag hands on scopes of operations; name at least one, and none of the service itself")
    return scopes


class Roles(Section):
    """The file as it stands."""

    servers: dict[Name, tuple[Name, ...]]
    delegate: dict[Flag, Annotated[tuple[str, ...], AfterValidator(_of_operations)]] = Field(default_factory=dict)

    def shows(self, role: str, server: str) -> bool:
        """Not where nobody named the role: what is not known sees nothing."""
        shown = self.servers.get(role, ())
        return server in shown or EVERY in shown

    @property
    def flags(self) -> Mapping[str, frozenset[str]]:
        return {flag: frozenset(scopes) for flag, scopes in self.delegate.items()}


def packaged() -> Roles:
    """The roles of an installation that says nothing of its own."""
    return _read((files("kernel_gateway.policy") / "roles.toml").read_text(encoding="utf-8"), "roles.toml")


def configured(settings: AuthSettings, served: Collection[str]) -> Roles:
    """The operator's roles, or the packaged ones. Raises ConfigError for a role or a server that nobody has."""
    if settings.roles is None:
        roles = packaged()
    else:
        roles = _read(_text(settings.roles), str(settings.roles))
        for role, servers in roles.servers.items():
            if unknown := sorted({*servers} - {*served, EVERY}):
                known = ", ".join(sorted(served)) or "none"
                raise ConfigError(f"`{settings.roles}`: `{role}` sees `{unknown[0]}`, but there is {known}")
    for key, role in _named(settings):
        if role not in roles.servers:
            known = ", ".join(sorted(roles.servers))
            raise ConfigError(f"`{key}`: no role is called `{role}`; there is {known}, see `auth.roles`")
    return roles


def _named(settings: AuthSettings) -> list[tuple[str, str]]:
    """The roles that the configuration gives to somebody, by the key that does. A slip would take everything away."""
    mapped = [
        (f"auth.issuers.{number}.{key}.{name}", role)
        for number, issuer in enumerate(settings.issuers)
        for key, mapping in (("subject_roles", issuer.subject_roles), ("client_roles", issuer.client_roles))
        for name, role in mapping.items()
    ]
    return [("auth.default_role", settings.default_role), ("auth.stdio.role", settings.stdio.role), *mapped]


def _read(text: str, where: str) -> Roles:
    try:
        values = tomllib.loads(text)
        return Roles.model_validate(values)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"`{where}` is not valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"`{where}`: {complaint(error, values)}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read `{path}`: {error.strerror}; see `auth.roles`") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{path}` is not UTF-8; see `auth.roles`") from error
