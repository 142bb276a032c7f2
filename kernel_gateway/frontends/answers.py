"""Turns what the doors return or raise into MCP results: the structured form, the readable block, the pictures."""

import base64
import json
from dataclasses import replace
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from kernel_gateway.approvals.pending import moment
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.images import Pictures
from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.frontends.output_schema import STATUS_OF_CODE
from kernel_gateway.frontends.shares import shares
from kernel_gateway.frontends.text import clip, execute_text, line, search_text
from kernel_gateway.search import SearchAnswer
from kernel_gateway.sessions.result import Approval, CellError, ExecuteResult, Reviewed

_NOTES_CHARS = 1_000  # of the readable block, kept free for what is said about pictures
_WARNING_CHARS = 100  # of those, kept free for the line that says what protects nobody
_ENVELOPE_BYTES = (
    16 * 1024
)  # of one event: JSON-RPC and SSE framing, `_meta`, and the notes at twelve bytes a character
_MAX_NAME_CHARS = 200  # of an exception's name, which a kernel is free to choose


def refused(error: GatewayError) -> CallToolResult:
    """An anticipated failure as a result that carries its code, so that a model can read it and act."""
    structured: dict[str, Any] = {
        "status": STATUS_OF_CODE[error.code],
        "code": error.code,
        "message": line(error.message),
    }
    if error.retry_after is not None:
        structured["retry_after"] = error.retry_after
    after = "" if error.retry_after is None else f" (try again in {error.retry_after:.0f} s)"
    return _result([_text(f"{error.code}: {structured['message']}{after}")], structured)


def found(hits: SearchAnswer, settings: McpSettings) -> CallToolResult:
    """A search, as the gateway returns it."""
    return _result([_text(search_text(hits, settings.max_text_chars))], dict(hits))


async def executed(result: ExecuteResult, pictures: Pictures, settings: McpSettings) -> CallToolResult:
    """A cell. Text and structure are bounded first; the pictures share what is left of one event."""
    result = bounded(result, settings.max_structured_chars)
    structured = execute_structured(result)
    text = execute_text(result, settings.max_text_chars - _NOTES_CHARS)
    if not result.images:
        return _result([_text(text)], structured)
    used = len(json.dumps(structured)) + len(json.dumps(text)) + _ENVELOPE_BYTES
    shown = await pictures.show(result.images, settings.max_event_bytes - used)
    notes = clip("".join(f"\nnote: {note}" for note in shown.notes), _NOTES_CHARS - _WARNING_CHARS)
    content: list[ContentBlock] = [_text(text + notes)]
    for image in shown.images:
        encoded = base64.b64encode(image.data).decode("ascii")
        content.append(ImageContent(type="image", data=encoded, mime_type=image.mime))
    return _result(content, structured)


def warned(result: CallToolResult, warning: str) -> CallToolResult:
    """The answer of a service that was started with `--unsafe`: said in both forms, before anything else."""
    first, *others = result.content
    assert isinstance(first, TextContent)
    text = f"{warning[: _WARNING_CHARS - 1]}\n{first.text}"
    return _result([_text(text), *others], {"unsafe": True, **(result.structured_content or {})})


def bounded(result: ExecuteResult, max_chars: int) -> ExecuteResult:
    """`result` with all its output within `max_chars` and free of lone surrogates, which no JSON may hold."""
    error = result.error or CellError("", "", "")
    texts = [
        _well_formed(text) for text in (result.stdout, result.stderr, result.result, error.evalue, error.traceback)
    ]
    cut = [clip(text, room) for text, room in zip(texts, shares([len(text) for text in texts], max_chars), strict=True)]
    stdout, stderr, value, evalue, traceback = cut
    kept = CellError(_well_formed(error.ename)[:_MAX_NAME_CHARS], evalue, traceback)
    return replace(
        result,
        stdout=stdout,
        stderr=stderr,
        result=value,
        error=kept if result.error else None,
        lost=tuple(_well_formed(name) for name in result.lost),
        truncated=result.truncated or cut != texts,
    )


def execute_structured(result: ExecuteResult) -> dict[str, Any]:
    """The contract's structured result; a key without anything to say is absent."""
    error = result.error
    values: dict[str, Any] = {
        "status": result.status,
        "session_id": result.session_id,
        "execution_count": result.execution_count,
        "result": result.result,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "error": error and {"ename": error.ename, "evalue": error.evalue, "traceback": error.traceback},
        "calls": [
            {
                "operation": call.operation,
                "status": call.status,
                "duration_ms": round(call.duration_ms, 1),
                "replayed": call.replayed,
            }
            for call in result.calls
        ],
        "review": result.reviewed and _review(result.reviewed),
        "approval": result.approval and _approval(result.approval),
        "state": _state(result),
        "truncated": result.truncated,
        "code": result.code,
        "message": result.message,
    }
    said = {key: value for key, value in values.items() if value}
    said["duration_ms"] = round(result.duration_ms, 1)
    if result.retry_after is not None:
        said["retry_after"] = result.retry_after
    return said


def _state(result: ExecuteResult) -> dict[str, Any]:
    told = {"restored": result.restored, "rerun": list(result.rerun), "lost": list(result.lost)}
    said = {key: value for key, value in told.items() if value}
    return said if result.committed is None else {"committed": result.committed, **said}


def _review(reviewed: Reviewed) -> dict[str, Any]:
    review = reviewed.review
    return {
        "operations": list(review.operations),
        "effects": [str(effect) for effect in review.effects],
        "risk": str(review.risk),
        "explanation": _well_formed(review.explanation),
        "violations": [line(f"line {each.line}: {each.message}") for each in review.violations],
        "reasons": [line(reason) for reason in reviewed.reasons],
    }


def _approval(approval: Approval) -> dict[str, Any]:
    token = {"token": approval.token} if approval.token else {}
    return {"id": approval.id, **token, "expires_at": moment(approval.expires_at)}


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _result(content: list[ContentBlock], structured: dict[str, Any]) -> CallToolResult:
    return CallToolResult(content=content, structured_content=structured, is_error="code" in structured)
