"""Who asks: the verified identity behind a request, and what it may do until when."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. Sessions belong to (issuer, organisation, subject, client); the rest may change from token to token.

    `expires_at` is in seconds since the epoch; authority ends there, also in the middle of a cell.
    `front_end` is the one this request came through: mcp (over HTTP), stdio, rest or admin. `alongside` are those
    whose authority is needed as well: the owners of the session it works in, where they are others or in other roles.
    """

    issuer: str
    organisation: str
    subject: str
    client: str
    role: str
    scopes: frozenset[str]
    expires_at: float
    front_end: str = ""
    alongside: "tuple[Principal, ...]" = ()

    @property
    def authorities(self) -> "tuple[Principal, ...]":
        """Everyone who must be allowed to do what this caller does."""
        return (self, *self.alongside)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return (self.issuer, self.organisation, self.subject, self.client)

    def narrowed(self, grant: frozenset[str]) -> "Principal":
        """The same caller with no more than `grant` allows."""
        return replace(self, scopes=self.scopes & grant)

    def __repr__(self) -> str:
        return f"<Principal {self.organisation}/{self.subject} via {self.client} as {self.role}>"
