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


class Notes:
    """Of one cell that runs: taken down in the order in which its calls ended."""

    def __init__(self) -> None:
        self._entries: list[Any] = []
        self._room = MAX_CELL_BYTES

    def __len__(self) -> int:
        return len(self._entries)

    def value(self, operation: str, arguments: object, value: object) -> None:
        self._add([operation, _digest(arguments), {"value": value}])

    def error(self, operation: str, arguments: object, error: GatewayError) -> None:
        told = {"code": error.code, "message": error.message, "retry_after": error.retry_after}
        self._add([operation, _digest(arguments), told])

    def text(self) -> bytes:
        return json.dumps(self._entries, ensure_ascii=False, separators=(",", ":")).encode()

    def _add(self, entry: list[Any]) -> None:
        size = len(json.dumps(entry, ensure_ascii=False))
        if size <= min(MAX_ANSWER_BYTES, self._room):
            self._room -= size
            self._entries.append(entry)


class Recorded:
    """The answers of an earlier run, given again: to the same call the same, in the same order.

    `is_short` once one was asked for that is not there, whatever the cell makes of it.
    """

    def __init__(self, raw: bytes) -> None:
        self.is_short = False
        self._left: defaultdict[tuple[str, str], deque[Mapping[str, Any]]] = defaultdict(deque)
        for operation, digest, outcome in json.loads(raw) if raw else ():
            self._left[operation, digest].append(outcome)

    def answer(self, operation: str, arguments: object) -> Any:
        """Raises the GatewayError that it ended with then, and `not_available` where nothing was kept."""
        left = self._left[operation, _digest(arguments)]
        if not left:
            self.is_short = True
            message = f"`{operation[:80]}` is not called again while its cell is run again, and its answer was not kept"
            raise GatewayError("not_available", message)
        outcome = left.popleft()
        if "value" in outcome:
            return outcome["value"]
        code = outcome["code"] if outcome["code"] in CODES else "internal"
        raise GatewayError(code, outcome["message"], retry_after=outcome["retry_after"])


def _digest(arguments: object) -> str:
    """Empty where they are nested too deep to be looked at: such a call is refused, now and again."""
    try:
        written = json.dumps(arguments, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        return ""
    return hashlib.sha256(written.encode(errors="surrogatepass")).hexdigest()
