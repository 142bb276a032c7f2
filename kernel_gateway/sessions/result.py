"""What a cell came to: the values the outer door returns and every front end renders."""

from dataclasses import dataclass

from kernel_gateway.approvals.pending import Pending
from kernel_gateway.broker import CallRecord
from kernel_gateway.policy.review import Review


@dataclass(frozen=True, slots=True)
class CellError:
    """What the cell raised, as the kernel reported it; ANSI removed."""

    ename: str
    evalue: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Image:
    """One displayed picture; `mime` was recognised from the bytes. Never stored."""

    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller's user said to the question `id`, through a front end that really asked."""

    id: str
    approve: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """What a cell waits for, or may be run with: `token` is "" where another person has to answer first."""

    id: str
    expires_at: float
    token: str = ""
    pending: Pending | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What was read in a cell that did not run, and why the policy decided as it did."""

    review: Review
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExecuteRequest:
    """`timeout_seconds` bounds the cell; `request_id` is the caller's: a repeat joins the first run.

    `fork_from_cell` runs it in a new session that goes on after that cell of this one; `origin` is where it asked for
    that, for the keys of its mutations.

    `can_ask` says that the front end puts questions to the caller's own user; `answer` is what that user said to one.
    `author` is agent or person.
    """

    code: str
    session_id: str = ""
    timeout_seconds: float = 60.0
    request_id: str = ""
    validate_only: bool = False
    approval_token: str = ""
    can_ask: bool = False
    answer: Answer | None = None
    author: str = "agent"
    fork_from_cell: int = 0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ExecuteResult:
    """`status` is ok | error | timeout | interrupted | lost | paused | approval_required | denied.

    `code` and `message` are set where it is an MCP error, `rule` where it is a refusal: what stood against it, for the
    ledger.

    `committed` is the newest cell whose state survives anything; `restored` says that the kernel is another than for
    the cell before, `rerun` which cells ran again for that, `lost` what could not be had any more. `truncated` says
    that output went over its cap. Durations in milliseconds.
    """

    status: str
    session_id: str
    execution_count: int
    result: str = ""
    stdout: str = ""
    stderr: str = ""
    error: CellError | None = None
    images: tuple[Image, ...] = ()
    calls: tuple[CallRecord, ...] = ()
    committed: int | None = None
    restored: bool = False
    rerun: tuple[int, ...] = ()
    lost: tuple[str, ...] = ()
    truncated: bool = False
    duration_ms: float = 0.0
    code: str = ""
    message: str = ""
    rule: str = ""
    retry_after: float | None = None
    reviewed: Reviewed | None = None
    approval: Approval | None = None

    @property
    def size_bytes(self) -> int:
        """About what keeping it costs."""
        error = len(self.error.evalue) + len(self.error.traceback) if self.error else 0
        text = len(self.result) + len(self.stdout) + len(self.stderr) + error
        return text + sum(len(image.data) for image in self.images)
