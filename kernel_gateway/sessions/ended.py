"""What is said of a cell that has ended: to its caller, and to the journal. Pure."""

from collections.abc import Callable

from kernel_gateway.audit.bounds import MAX_OUTPUTS, Output
from kernel_gateway.audit.events import CellRan
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Cell
from kernel_gateway.kernels.kernel import Outcome
from kernel_gateway.kernels.outputs import Outputs, without_ansi
from kernel_gateway.sessions.restoring import News
from kernel_gateway.sessions.result import CellError, ExecuteResult, Image
from kernel_gateway.sessions.steady import MAX_CHARACTERS, steady


def result_of(cell: Cell, outcome: Outcome, news: News, duration_ms: float, committed: int | None) -> ExecuteResult:
    outputs = outcome.outputs
    code, message = "", ""
    if outcome.status == "lost":
        code, message = "kernel_died", f"the kernel died: {outcome.cause}{_void(cell)}; run what you need again"
    elif outcome.status == "disabled":
        code, message = "disabled", f"{outcome.cause}{_void(cell)}"
    return ExecuteResult(
        status=outcome.status,
        session_id=cell.session_id,
        execution_count=cell.number,
        result=outputs.result,
        stdout=outputs.stdout,
        stderr=outputs.stderr,
        error=CellError(*map(without_ansi, outputs.error)) if outputs.error else None,
        images=tuple(Image(mime, data) for mime, data in outputs.images),
        calls=tuple(cell.records),
        lost=tuple(news.lost),
        rerun=tuple(news.rerun),
        restored=news.restored,
        committed=committed,
        truncated=outputs.is_truncated,
        duration_ms=duration_ms,
        code=code,
        message=message,
    )


def event_of(
    owner: Principal,
    cell: Cell,
    code: str,
    outcome: Outcome,
    result: ExecuteResult,
    digest: Callable[[str, bytes], str],
    now: float,
) -> CellRan:
    """`digest(organisation, content)` is keyed per organisation."""
    outputs, organisation = outcome.outputs, owner.organisation
    return CellRan(
        at=now,
        organisation=organisation,
        subject=owner.subject,
        client=owner.client,
        session_id=cell.session_id,
        cell=cell.number,
        cell_id=cell.cell_id,
        parent_id=cell.parent_id,
        author=cell.author,
        source_digest=digest(organisation, code.encode()),
        status=outcome.status,
        ename=result.error.ename if result.error and outcome.status == "error" else "",
        duration_ms=result.duration_ms,
        stdout_bytes=outputs.stdout_bytes,
        stderr_bytes=outputs.stderr_bytes,
        outputs=_shown(outputs, lambda content: digest(organisation, content)),
        calls=len(cell.records),
        approver=cell.approver,
        approval_id=cell.approval_id,
        claimed=outcome.status in ("ok", "error"),
    )


def _shown(outputs: Outputs, digest: Callable[[bytes], str]) -> tuple[Output, ...]:
    """Every output by its kind, size and digests; the second is short, for it is only compared within a replay."""
    room = MAX_CHARACTERS

    def entry(kind: str, size: int, content: bytes, text: str = "") -> Output:
        nonlocal room
        exact, same = digest(content), steady(text, room)
        room -= len(text)
        return kind, size, exact, (exact if same == text else digest(same.encode()))[:32]

    texts = [("stdout", outputs.stdout), ("stderr", outputs.stderr), ("error", ": ".join((outputs.error or ())[:2]))]
    streams = [entry(kind, len(text.encode()), text.encode(), text) for kind, text in texts if text]
    displays = [
        entry(each.mime, each.size_bytes, each.content, each.content.decode() if each.mime == "text/plain" else "")
        for each in outputs.shown[: MAX_OUTPUTS - len(streams)]
    ]
    return (*streams, *displays)


def _void(cell: Cell) -> str:
    """Of questions that ended with the kernel."""
    names = ", ".join(f"`{each}`" for each in cell.unanswered)
    return f"; the approval of {names} is void and nothing was sent" if names else ""
