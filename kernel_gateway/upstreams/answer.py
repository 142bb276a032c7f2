"""Reads what an upstream answered: its JSON, or which of our codes its refusal means. Pure."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, NoReturn

from kernel_gateway.upstreams.base import UpstreamError

MAX_MESSAGE_CHARACTERS = 500  # of an upstream's own words
_MAX_READ_CHARACTERS = 4096  # what redaction has to look through before the cut
MAX_RETRY_AFTER_SECONDS = 86_400.0  # a longer wait is a mistake or a joke
_MAX_POINTERS = 3  # of a problem's `errors`: enough to correct an argument

CODES = {
    400: "invalid",
    404: "not_found",
    408: "upstream_unavailable",
    409: "conflict",
    410: "not_found",
    412: "conflict",
    413: "too_large",
    415: "invalid",
    422: "invalid",
    423: "conflict",
    425: "conflict",
    429: "limited",
    502: "upstream_unavailable",
    503: "upstream_unavailable",
    504: "upstream_unavailable",
}


# Of a signed link's storage. The link is the only right there is, so a refusal of it is about the link.
STORAGE_CODES = CODES | dict.fromkeys((401, 403), "not_found")


def parse(raw: bytes, content_type: str) -> Any:
    """The JSON value. Raises ValueError with the reason where it is not strict JSON that we could pass on."""
    essence = content_type.partition(";")[0].strip().lower()
    if not (essence == "application/json" or (essence.startswith("application/") and essence.endswith("+json"))):
        raise ValueError("it is not JSON by its content type")
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair parses, but is not text
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not valid JSON") from error
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("a number too large to pass on")
    return number


def refusal(
    who: str,
    status: int,
    headers: Mapping[str, str],
    raw: bytes,
    redact: Callable[[str], str],
    now: float,
    codes: Mapping[int, str] = CODES,
    notes: Mapping[str, str] = MappingProxyType({}),
) -> UpstreamError:
    """What a 4xx or 5xx means to cell code. Its text is the problem's title and detail: redacted, one line, cut.

    `who` and the `notes` of a code are ours.
    """
    code = codes.get(status, "upstream")
    wait = retry_after(headers, now)
    if wait is None and code == "limited":
        wait = 1.0
    said = _words(raw, headers.get("content-type", ""))
    message = f"{who} answered {status}{notes.get(code, '')}"
    if said:
        message += f": {' '.join(redact(said).split())}"
    return UpstreamError(code, message[:MAX_MESSAGE_CHARACTERS], retry_after=wait, http_status=status)


def _words(raw: bytes, content_type: str) -> str:
    try:
        problem = parse(raw, content_type)
    except ValueError:
        return ""
    if not isinstance(problem, dict):
        return ""
    words = [text for key in ("title", "detail") if isinstance(text := problem.get(key), str)]
    errors = problem.get("errors")
    words += [
        f"{each.get('pointer', '')} {each['detail']}"
        for each in (errors[:_MAX_POINTERS] if isinstance(errors, list) else [])
        if isinstance(each, dict) and isinstance(each.get("detail"), str)
    ]
    text = ": ".join(words)
    if len(text) > _MAX_READ_CHARACTERS:  # whole words only: half a secret would not be recognised as one
        text = text[:_MAX_READ_CHARACTERS].rpartition(" ")[0]
    return "".join(character if character.isprintable() else " " for character in text)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from `now`, from either form of Retry-After (RFC 9110, 10.2.3). None where it is absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at.timestamp() - now, 0.0), MAX_RETRY_AFTER_SECONDS)
