"""What an approver reads: our sentences, with the caller's words quoted, escaped and bounded, never cut. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from catalog import Operation
from kernel_gateway.approvals.pending import moment
from kernel_gateway.errors import GatewayError
from kernel_gateway.policy.review.quoting import quote
from kernel_gateway.policy.risk import Risk, risk_of

_DOES = {
    "read": "reads and changes nothing",
    "write": "changes something",
    "delete": "deletes, which cannot be undone",
}
_REMOVED = "[redacted:"


def of_cell(explanation: str, lines: int, expires_at: float) -> str:
    """About a whole cell; `explanation` is the review's."""
    size = "1 line" if lines == 1 else f"{lines} lines"
    return (
        f"An agent wants to run a cell of {size}.\n\n{explanation}\n\n"
        f"Approve it? Nothing runs before you do. The question ends at {moment(expires_at)}."
    )


def of_call(
    operation: Operation,
    arguments: Mapping[str, Any],
    risk: str,
    expires_at: float,
    max_chars: int,
    redact: Callable[[str], str],
) -> str:
    """About one call, with its actual arguments. Raises GatewayError where they cannot all be shown.

    too_large | invalid (a secret among the arguments of what can do great harm).
    """
    for value in arguments.values():
        _refuse_beyond(max_chars, json.dumps(value, ensure_ascii=False))  # quick, and never longer than shown
    values = _refuse_beyond(max_chars, _lines(arguments, str))
    shown = _refuse_beyond(max_chars, _lines(arguments, redact))
    if shown != values and risk_of(operation) >= Risk.HIGH:
        raise GatewayError(
            "invalid",
            f"the arguments of `{operation.id}` hold what looks like a secret, and an approver has to see all of them; "
            "leave it out",
        )
    return (
        f"A running cell wants to call {operation.id}: {operation.summary}.\n"
        f"It {_DOES[operation.effect]}. Risk: {risk}.\n\n"
        f"{'It is called with' if values else 'It is called without arguments.'}{':' if values else ''}\n{shown}\n\n"
        f"Approve this one call? Nothing is sent before you do. The question ends at {moment(expires_at)}."
    )


def _refuse_beyond(max_chars: int, text: str) -> str:
    if len(text) > max_chars:
        raise GatewayError(
            "too_large", f"an approver is shown at most {max_chars} characters of arguments; make smaller calls"
        )
    return text


def _lines(arguments: Mapping[str, Any], redact: Callable[[str], str]) -> str:
    return "\n".join(f"  {name}: {_shown(value, redact, name)}" for name, value in sorted(arguments.items()))


def _shown(value: Any, redact: Callable[[str], str], name: str = "") -> str:
    """Each text by itself: what is removed from one cannot take another along. `name` is what it is kept under."""
    if isinstance(value, str):
        return _text(value, redact, name)
    if isinstance(value, Mapping):
        pairs = (f"{_text(key, redact)}: {_shown(inner, redact, key)}" for key, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_shown(each, redact, name) for each in value) + "]"
    return json.dumps(value)


def _text(text: str, redact: Callable[[str], str], name: str = "") -> str:
    kept = text
    if _finds(redact, text):
        kept = redact(text)
    elif name and _finds(redact, json.dumps({name: text})):
        kept = ""  # harmless by itself, and a secret under its name
    said = quote(kept, len(kept))
    return said if kept == text else f"{said} ({len(text)} characters, not all shown)"


def _finds(redact: Callable[[str], str], text: str) -> bool:
    """Whether there is a secret in it. What hides is removed too, and is no secret: a quotation shows it."""
    kept = redact(text)
    return kept != text and _REMOVED in kept
