"""What a field of an event may hold. A value outside its bound is replaced, never kept and never an error.

An event is written because something happened, so a hostile value must not prevent it; and much of it was chosen by
cell code, so no field may carry text of the cell's choosing. The widest gap left is `ename`: 64 identifier characters.
"""

import hashlib
import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from catalog.operation import Effect
from kernel_gateway.errors import CODES

INVALID = "<invalid>"
MAX_COUNT = 2**53 - 1  # the largest integer that every JSON reader keeps exact
MAX_MILLISECONDS = 1e12
MAX_MOMENT = 253_402_300_799.0  # the last second of the year 9999
MAX_OUTPUTS = 32  # a cell that displays more is recorded with its first 32

# every word a contract status or an error code can be
STATUSES = frozenset(CODES) | {
    *("ok", "error", "timeout", "interrupted", "paused", "approval_required", "lost", "canceled"),
    *("denied", "disabled", "limited", "busy", "invalid", "not_found"),
}
# what a kernel may claim to have displayed; a media type is free text otherwise
MEDIA_TYPES = frozenset(
    {
        *("application/json", "application/javascript", "application/pdf", "application/octet-stream"),
        *("image/avif", "image/gif", "image/jpeg", "image/png", "image/svg+xml", "image/webp"),
        *("text/html", "text/latex", "text/markdown", "text/plain"),
    }
)
OTHER_MEDIA = "other"
STREAMS = frozenset({"stdout", "stderr", "error"})  # outputs that have no media type

Bound = Callable[[Any], Any]
Output = tuple[str, int, str, str]


def matching(pattern: str, otherwise: Callable[[str], str] = lambda _: INVALID) -> Bound:
    """Text of this form, or empty; else what `otherwise` makes of it."""
    fits = re.compile(pattern, re.ASCII).fullmatch

    def bound(value: Any) -> str:
        if not value:
            return ""
        if not isinstance(value, str):
            return INVALID
        return str(value) if fits(value) else otherwise(value)

    return bound


def one_of(words: frozenset[str], otherwise: str = INVALID) -> Bound:
    return lambda value: str(value) if isinstance(value, str) and (value in words or not value) else otherwise


def count(value: Any) -> int:
    return min(max(value, 0), MAX_COUNT) if isinstance(value, int) and not isinstance(value, bool) else 0


def http_status(value: Any) -> int:
    return value if isinstance(value, int) and 100 <= value <= 599 else 0


def milliseconds(value: Any) -> float:
    return round(min(max(_finite(value), 0.0), MAX_MILLISECONDS), 3)


def moment(value: Any) -> float | None:
    """Seconds since the epoch, to the microsecond; None lets the journal's clock say."""
    return None if value is None else round(min(max(_finite(value), 0.0), MAX_MOMENT), 6)


def outputs(value: Any) -> tuple[Output, ...]:
    first = tuple(value)[:MAX_OUTPUTS]
    return tuple((_output(kind), count(size), _digest(exact), _digest(steady)) for kind, size, exact, steady in first)


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _hashed(text: str) -> str:
    """An identity in a form we do not write out must stay the same identity."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_output = one_of(MEDIA_TYPES | STREAMS, OTHER_MEDIA)
_digest = matching(r"[0-9a-f]{32,64}")

# The issuer chooses these, in claims that may be addresses, URLs without a query, or ids with separators.
identity = matching(r"[A-Za-z0-9][A-Za-z0-9._@:/|+-]{0,127}", _hashed)
Identity = Annotated[str, identity]
Id = Annotated[str, matching(r"[A-Za-z0-9_-]{1,64}")]
# The name of an unknown operation is whatever the cell wrote: who records one passes UNKNOWN_OPERATION instead.
UNKNOWN_OPERATION = "<unknown>"
OperationId = Annotated[str, matching(r"[a-z][a-z0-9_]{0,39}:[A-Za-z][A-Za-z0-9_]{0,63}|<unknown>")]
ErrorName = Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]{0,63}")]
Word = Annotated[str, matching(r"[a-z][a-z0-9_]{0,31}")]
Rule = Annotated[str, matching(r"[A-Za-z][A-Za-z0-9_.:-]{0,79}")]
Digest = Annotated[str, _digest]
Status = Annotated[str, one_of(STATUSES)]
ErrorCode = Annotated[str, one_of(frozenset(CODES))]
EffectName = Annotated[str, one_of(frozenset(Effect))]
Verdict = Annotated[str, one_of(frozenset({"allow", "deny"}))]
Direction = Annotated[str, one_of(frozenset({"read", "write"}))]
Flag = Annotated[bool, bool]
Count = Annotated[int, count]
HttpStatus = Annotated[int, http_status]
Milliseconds = Annotated[float, milliseconds]
Moment = Annotated[float | None, moment]
Outputs = Annotated[tuple[Output, ...], outputs]
