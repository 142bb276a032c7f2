"""What a cell's calls were answered with, so that it can be run again without making any of them. Values only.

Small answers alone: what is long may be a picture's bytes, which are never kept.
"""

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from kernel_gateway.errors import CODES, GatewayError

MAX_ANSWER_BYTES = 64 * 1024
MAX_CELL_BYTES = 4 * 1024 * 1024
_DIGEST_CHARS = 64
_PLACE_BYTES = len('["",null],') + _DIGEST_CHARS
_NOT_KEPT = b"null"


class Notes:
    """Of one cell that runs: each call has its place from when it begins, for the cell asks again in that order.

    What is not kept, or did not end, leaves its place empty: no later answer moves up to it.
    """

    def __init__(self) -> None:
        self._digests: list[str] = []
        self._outcomes: list[bytes] = []
        self._room = MAX_CELL_BYTES

    def __len__(self) -> int:
        return len(self._digests)

    def begin(self, operation: str, arguments: object) -> int:
        """The call's place. Where there is no room for one, there is none for any later call either."""
        place = len(self._digests)
        if self._room >= _PLACE_BYTES:
            self._room -= _PLACE_BYTES
            self._digests.append(_digest(operation, arguments))
            self._outcomes.append(_NOT_KEPT)
        return place

    def value(self, place: int, value: object) -> None:
        self._end(place, {"value": value})

    def error(self, place: int, error: GatewayError) -> None:
        self._end(place, {"code": error.code, "message": error.message, "retry_after": error.retry_after})

    def text(self) -> bytes:
        entries = zip(self._digests, self._outcomes, strict=True)
        return b"[" + b",".join(b'["%s",%s]' % (digest.encode(), outcome) for digest, outcome in entries) + b"]"

    def _end(self, place: int, outcome: Mapping[str, Any]) -> None:
        try:
            written = json.dumps(outcome, ensure_ascii=False).encode(errors="surrogatepass")
        except RecursionError:
            return
        if place < len(self._digests) and len(written) <= min(MAX_ANSWER_BYTES, self._room):
            self._room -= len(written)
            self._outcomes[place] = written


class Recorded:
    """The answers of an earlier run, given again: to the same call the same, in the order in which it was made.

    `is_short` once one was asked for that is not there, whatever the cell makes of it.
    """

    def __init__(self, raw: bytes) -> None:
        self.is_short = False
        self._left: defaultdict[str, deque[Mapping[str, Any] | None]] = defaultdict(deque)
        for digest, outcome in json.loads(raw) if raw else ():
            self._left[digest].append(outcome)

    def answer(self, operation: str, arguments: object) -> Any:
        """Raises the GatewayError that it ended with then, and `not_available` where nothing was kept."""
        left = self._left[_digest(operation, arguments)]
        outcome = left.popleft() if left else None
        if outcome is None:
            self.is_short = True
            message = f"`{operation[:80]}` is not called again while its cell is run again, and its answer was not kept"
            raise GatewayError("not_available", message)
        if "value" in outcome:
            return outcome["value"]
        code = outcome["code"] if outcome["code"] in CODES else "internal"
        raise GatewayError(code, outcome["message"], retry_after=outcome["retry_after"])


def _digest(operation: str, arguments: object) -> str:
    """Of what is nested too deep to be looked at, the operation's alone: such a call is refused, now and again."""
    try:
        written = json.dumps([operation, arguments], sort_keys=True, separators=(",", ":"))
    except RecursionError:
        written = json.dumps([operation])
    return hashlib.sha256(written.encode()).hexdigest()
