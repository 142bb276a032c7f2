"""What an approver reads: our sentences, with the caller's words quoted, escaped and bounded, never cut. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from catalog import Operation
from kernel_gateway.approvals.pending import moment
from kernel_gateway.errors import GatewayError
from kernel_gateway.policy.review.quoting import quote

_DOES = {
    "read": "reads and changes nothing",
    "write": "changes something",
    "delete": "deletes, which cannot be undone",
}


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
    """About one call, with its actual arguments. Raises GatewayError too_large where they cannot all be shown."""
    values = "\n".join(f"  {name}: {redact(_shown(value))}" for name, value in sorted(arguments.items()))
    if len(values) > max_chars:
        raise GatewayError(
            "too_large", f"an approver is shown at most {max_chars} characters of arguments; make smaller calls"
        )
    return (
        f"A running cell wants to call {operation.id}: {operation.summary}.\n"
        f"It {_DOES[operation.effect]}. Risk: {risk}.\n\n"
        f"{'It is called with' if values else 'It is called without arguments.'}{':' if values else ''}\n{values}\n\n"
        f"Approve this one call? Nothing is sent before you do. The question ends at {moment(expires_at)}."
    )


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return quote(value, len(value))
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{quote(str(key), len(str(key)))}: {_shown(inner)}" for key, inner in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return json.dumps(value)
