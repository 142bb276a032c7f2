"""What a cell came to: the values the outer door returns and every front end renders."""

from dataclasses import dataclass

from kernel_gateway.broker import CallRecord


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
class ExecuteRequest:
    """`timeout_seconds` bounds the cell; `request_id` is the caller's: a repeat joins the first run."""

    code: str
    session_id: str = ""
    timeout_seconds: float = 60.0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class ExecuteResult:
    """`status` is ok | error | timeout | interrupted | lost. `code` and `message` are set where it is an MCP error.

    `lost` says what a dead kernel took with it; `truncated` that output went over its cap. Durations in milliseconds.
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
    lost: tuple[str, ...] = ()
    truncated: bool = False
    duration_ms: float = 0.0
    code: str = ""
    message: str = ""
    retry_after: float | None = None

    @property
    def size_bytes(self) -> int:
        """About what keeping it costs."""
        error = len(self.error.evalue) + len(self.error.traceback) if self.error else 0
        text = len(self.result) + len(self.stdout) + len(self.stderr) + error
        return text + sum(len(image.data) for image in self.images)
