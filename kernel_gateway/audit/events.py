"""What can be written down: typed events of metadata. Never arguments, values, source, messages or URLs.

Every field is bounded when the event is made (see bounds.py), so an event that exists is safe to store and to show.
All fields are keywords; a duration is in milliseconds, an absent thing is "" or 0.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, get_type_hints

from kernel_gateway.audit.bounds import (
    Bound,
    Count,
    Digest,
    Direction,
    EffectName,
    ErrorCode,
    ErrorName,
    Flag,
    HttpStatus,
    Id,
    Identity,
    Milliseconds,
    Moment,
    OperationId,
    Outputs,
    Rule,
    Status,
    Verdict,
    Word,
    identity,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Who and when. `at` is in seconds since the epoch; without it, the journal's clock says when it is recorded."""

    kind: ClassVar[str] = ""

    at: Moment = None
    organisation: Identity = ""
    subject: Identity = ""
    client: Identity = ""
    session_id: Id = ""

    def __post_init__(self) -> None:
        for name, bound in _bounds(type(self)):  # type: ignore[arg-type]  # mypy takes a class for its instance
            object.__setattr__(self, name, bound(getattr(self, name)))

    def body(self, alias: Callable[[str], str] = str) -> str:
        """Everything that has no column of its own, as canonical JSON: sorted names, no spaces, ASCII.

        Whoever it names, it names by what `alias` makes of them.
        """
        bounds = _bounds(type(self))  # type: ignore[arg-type]  # as above
        values = {name: getattr(self, name) for name, _ in bounds if name not in COLUMNS}
        for name, bound in bounds:
            if bound is identity and name in values and values[name]:
                values[name] = alias(values[name])
        return canonical(values)


COLUMNS = frozenset({"at", "organisation", "session_id"})
canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@cache
def _bounds(kind: type[Any]) -> tuple[tuple[str, Bound], ...]:
    hints: dict[str, Any] = get_type_hints(kind, include_extras=True)
    return tuple((name, hint.__metadata__[0]) for name, hint in hints.items() if name != "kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched(Event):
    """Somebody searched the catalog, from outside or (with a session) from a cell."""

    kind: ClassVar[str] = "searched"

    query_length: Count = 0
    hits: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Event):
    """`reason` is one word: what it was opened for."""

    kind: ClassVar[str] = "session_opened"

    reason: Word = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDelegated(Event):
    """A session was handed what `flag` of roles.toml stands for."""

    kind: ClassVar[str] = "session_delegated"

    flag: Rule = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(Event):
    """`reason` is one word: closed, expired, died ..."""

    kind: ClassVar[str] = "session_closed"

    reason: Word = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShown(Event):
    """`subject` took the text of a session's cells: `reason` is exported or replayed."""

    kind: ClassVar[str] = "source_shown"

    reason: Word = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRan(Event):
    """A cell ended. `claimed` says that `status` and `ename` are what the kernel claims, not what the gateway saw.

    `approver` is auto, user or person, `approval_id` what that used up, `author` agent or person, `parent_id` the cell
    before it. Each of `outputs`: kind, bytes, digest, digest of what another run would show again. Digests are keyed.
    """

    kind: ClassVar[str] = "cell_ran"

    cell: Count = 0
    cell_id: Id = ""
    parent_id: Id = ""
    author: Word = ""
    source_digest: Digest = ""
    status: Status = ""
    ename: ErrorName = ""
    claimed: Flag = False
    duration_ms: Milliseconds = 0.0
    stdout_bytes: Count = 0
    stderr_bytes: Count = 0
    outputs: Outputs = ()
    calls: Count = 0
    approver: Word = ""
    approval_id: Id = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCalled(Event):
    """A cell called an operation, and what came of it: `status` is "ok" or an error code, `http_status` may be 0."""

    kind: ClassVar[str] = "operation_called"

    cell: Count = 0
    cell_id: Id = ""
    operation: OperationId = ""
    effect: EffectName = ""
    decision: Verdict = ""
    rule: Rule = ""
    approver: Word = ""
    status: Status = ""
    http_status: HttpStatus = 0
    duration_ms: Milliseconds = 0.0
    request_bytes: Count = 0
    answer_bytes: Count = 0
    replayed: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLeft(Event):
    """The gateway died while this call was under way, so whether it was done is not known. `at` is when it was found.

    `keyed` says that the upstream does it once, however often the same request is sent.
    """

    kind: ClassVar[str] = "effect_left"

    cell_id: Id = ""
    operation: OperationId = ""
    keyed: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobMoved(Event):
    """Bytes went through a handle; `direction` is the cell's view."""

    kind: ClassVar[str] = "blob_moved"

    cell: Count = 0
    cell_id: Id = ""
    direction: Direction = ""
    bytes: Count = 0
    status: Status = ""
    duration_ms: Milliseconds = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSet(Event):
    """The kill switch was set by `subject`: `part` is all, server, operation, role or front_end, and `name` which."""

    kind: ClassVar[str] = "switch_set"

    part: Word = ""
    name: Identity = ""
    is_off: Flag = False
    reason_length: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReloaded(Event):
    """Another set of policies is in force; `policy` is its digest."""

    kind: ClassVar[str] = "policy_reloaded"

    policy: Digest = ""
    rollout: Rule = ""
    rules: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRefused(Event):
    """The set on disk cannot be used; the one whose digest is `policy` stays in force."""

    kind: ClassVar[str] = "policy_refused"

    policy: Digest = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Event):
    """A door stayed shut, `count` times. Who asked may be unknown.

    `door` is http or admin where no call began, else the caller's front end; then `action` is what was asked for, and
    `rule` what stood against it.
    """

    kind: ClassVar[str] = "refused"

    code: ErrorCode = ""
    door: Word = ""
    action: Word = ""
    rule: Rule = ""
    count: Count = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAsked(Event):
    """A cell or a call waits for a person. What it is about is here as keyed digests only."""

    kind: ClassVar[str] = "approval_asked"

    approval_id: Id = ""
    scope: Word = ""  # cell or call
    approver: Word = ""  # user or person
    risk: Word = ""
    terms_digest: Digest = ""
    question_digest: Digest = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalEnded(Event):
    """`outcome` is approved, denied, used, expired or void; the subject is who answered or used it, or else who asked.

    Of a token that comes without a question (`validate_only`) there is its use alone.
    """

    kind: ClassVar[str] = "approval_ended"

    approval_id: Id = ""
    outcome: Word = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAdopted(Event):
    """The `records` before this one, the first of the ledger, were written by a version that had no chain."""

    kind: ClassVar[str] = "ledger_adopted"

    records: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPruned(Event):
    """The records up to `through` had reached the end of their time and were deleted."""

    kind: ClassVar[str] = "ledger_pruned"

    through: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityErased(Event):
    """Nobody can say any more whom an alias stood for. Which alias, only the holder of the ledger's key can say."""

    kind: ClassVar[str] = "identity_erased"

    alias_digest: Digest = ""
