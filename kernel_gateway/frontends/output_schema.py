"""The two tools' structured results as the published JSON schemas, and the status that each code has in them."""

from typing import Any

from kernel_gateway.policy.risk import Risk

STATUS_OF_CODE = {
    "unauthenticated": "denied",
    "denied": "denied",
    "approval_required": "denied",
    "misdirected": "denied",
    "plan_exceeded": "denied",
    "approval_denied": "denied",
    "approval_changed": "denied",
    "approval_session": "denied",
    "approval_used": "denied",
    "approval_expired": "denied",
    "approval_catalog": "denied",
    "approval_policy": "denied",
    "approval_state": "denied",
    "approval_invalid": "denied",
    "disabled": "disabled",
    "invalid": "invalid",
    "conflict": "invalid",
    "too_large": "invalid",
    "not_found": "not_found",
    "not_available": "not_found",
    "limited": "limited",
    "busy": "busy",
    "deadline": "timeout",
    "sandbox": "lost",
    "upstream": "lost",
    "upstream_unavailable": "lost",
    "upstream_invalid": "lost",
    "outcome_unknown": "lost",
    "kernel_died": "lost",
    "internal": "lost",
}
EXECUTE_STATUSES = (
    "ok",
    "error",
    "timeout",
    "interrupted",
    "paused",
    "approval_required",
    "denied",
    "disabled",
    "limited",
    "busy",
    "lost",
    "invalid",
    "not_found",
)
SEARCH_STATUSES = (
    "denied",
    "disabled",
    "limited",
    "invalid",
    "not_found",
    "lost",
)  # of a refusal: a search that was made has none

_STRING = {"type": "string"}
_NUMBER = {"type": "number"}
_REFUSAL = {
    "code": {"type": "string", "description": "Present exactly when the call failed as such: a stable code."},
    "message": {"type": "string", "description": "One line: what is wrong and what to do next."},
    "retry_after": {"type": "number", "description": "Seconds after which the same call may work."},
}

SEARCH_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "hits": {
            "type": "array",
            "description": "Best first; only operations you may use.",
            "items": {
                "type": "object",
                "properties": {
                    "operation": {"type": "string", "description": "The id, server:operation."},
                    "method": _STRING,
                    "path": _STRING,
                    "summary": _STRING,
                    "effect": {"type": "string", "enum": ["read", "write", "delete"]},
                    "scope": _STRING,
                    "inputs": {
                        "type": "array",
                        "items": _STRING,
                        "description": "The arguments it needs; signature shows all.",
                    },
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                    "signature": _STRING,
                    "schema": {"type": "object"},
                },
                "required": ["operation", "method", "path", "summary", "effect", "scope", "inputs", "score"],
            },
        },
        "total": {"type": "integer", "description": "How many operations matched."},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "hint": {"type": "string", "description": "What to try when nothing fits."},
        "status": {"type": "string", "enum": list(SEARCH_STATUSES), "description": "Of a call that failed as such."},
        **_REFUSAL,
    },
}

EXECUTE_OUTPUT: dict[str, Any] = {
    "type": "object",
    "description": "A key that is absent has nothing to say.",
    "properties": {
        "status": {"type": "string", "enum": list(EXECUTE_STATUSES)},
        "session_id": {"type": "string", "description": "Pass it to the next call to go on in this session."},
        "execution_count": {"type": "integer", "minimum": 1, "description": "The number of this cell in its session."},
        "result": {"type": "string", "description": "The value of the last expression, as IPython shows it."},
        "stdout": _STRING,
        "stderr": _STRING,
        "error": {
            "type": "object",
            "description": "What the cell raised.",
            "properties": {"ename": _STRING, "evalue": _STRING, "traceback": _STRING},
            "required": ["ename", "evalue", "traceback"],
        },
        "calls": {
            "type": "array",
            "description": "The operations that the cell called, in order.",
            "items": {
                "type": "object",
                "properties": {
                    "operation": _STRING,
                    "status": {"type": "string", "description": "ok, or a stable code."},
                    "duration_ms": _NUMBER,
                    "replayed": {"type": "boolean", "description": "An idempotency key returned an earlier answer."},
                },
                "required": ["operation", "status", "duration_ms", "replayed"],
            },
        },
        "review": {
            "type": "object",
            "description": "What was read in a cell that did not run.",
            "properties": {
                "operations": {"type": "array", "items": _STRING, "description": "What it can call."},
                "effects": {"type": "array", "items": _STRING},
                "risk": {"type": "string", "enum": [str(risk) for risk in Risk]},
                "explanation": {"type": "string", "description": "What it would do, in plain words."},
                "violations": {"type": "array", "items": _STRING, "description": "What is wrong or suspicious in it."},
                "reasons": {"type": "array", "items": _STRING, "description": "Why the policy decided as it did."},
            },
            "required": ["operations", "effects", "risk", "explanation", "violations", "reasons"],
        },
        "approval": {
            "type": "object",
            "description": "With paused: send the same call again to wait on. Else: what to run the cell with.",
            "properties": {
                "id": _STRING,
                "token": {"type": "string", "description": "For approval_token of the same cell in its session."},
                "expires_at": {"type": "string", "description": "RFC 3339, in UTC."},
            },
            "required": ["id", "expires_at"],
        },
        "state": {
            "type": "object",
            "properties": {
                "committed": {"type": "integer", "description": "The newest cell whose state survives anything."},
                "restored": {"type": "boolean", "description": "The variables were brought back into a new kernel."},
                "rerun": {"type": "array", "items": {"type": "integer"}, "description": "Cells run again for that."},
                "lost": {"type": "array", "items": _STRING, "description": "What could not be brought back, and why."},
            },
        },
        "truncated": {"type": "boolean", "description": "Output was over a limit and was cut."},
        "duration_ms": _NUMBER,
        "unsafe": {"type": "boolean", "description": "True where the service runs without the promised sandbox."},
        **_REFUSAL,
    },
    "required": ["status"],
}
