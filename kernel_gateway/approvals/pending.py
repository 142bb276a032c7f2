"""One question that waits for an answer, and its written form. Values only."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from kernel_gateway.approvals.token import Claims, Terms
from kernel_gateway.auth.principal import Principal

CELL, CALL = "cell", "call"
WAITING, APPROVED, DENIED = "", "approved", "denied"


@dataclass(frozen=True, slots=True)
class Pending:
    """`kind` is a whole cell or one call inside a running cell; `approver` is "user" or "person".

    `question` is ours: every word of the caller's in it is quoted, escaped and bounded. `verdict` is "" while it waits,
    then approved or denied, and `decided_by` the subject who said so.
    """

    id: str
    kind: str
    approver: str
    asker: Principal
    terms: Terms
    question: str
    risk: str
    operations: tuple[str, ...]
    issued_at: float
    expires_at: float
    verdict: str = WAITING
    decided_by: str = ""

    def __repr__(self) -> str:
        return f"<Pending {self.id} {self.kind} of {self.terms.session}: {self.verdict or 'waiting'}>"

    @property
    def claims(self) -> Claims:
        return Claims(self.id, self.issued_at, self.expires_at)

    def decided(self, verdict: str, by: str) -> "Pending":
        return replace(self, verdict=verdict, decided_by=by)


def written(pending: Pending) -> bytes:
    values = asdict(pending)
    values["asker"]["scopes"] = sorted(pending.asker.scopes)
    return json.dumps(values).encode()


def read(content: bytes) -> Pending:
    """What `written` wrote."""
    values = json.loads(content)
    asker, terms = values.pop("asker"), values.pop("terms")
    asker["scopes"] = frozenset(asker["scopes"])
    terms |= {name: tuple(terms[name]) for name in ("principal", "scopes")}
    values["operations"] = tuple(values["operations"])
    return Pending(asker=Principal(**asker), terms=Terms(**terms), **values)


def moment(seconds: float) -> str:
    """RFC 3339 in UTC, to the second, as answers and questions say it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
