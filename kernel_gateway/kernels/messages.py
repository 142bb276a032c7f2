"""The Jupyter messages that a gateway and a kernel exchange. No I/O: parts in, parts out.

    message = topic or identities | <IDS|MSG> | signature | header | parent header | metadata | content | buffers

(https://jupyter-client.readthedocs.io/en/stable/messaging.html). A signature proves nothing about cell code, which
knows the key. So every step is bounded, and as little is read as can be: what does not answer the cell in question is
known from the raw parent header, and content is read only when somebody asks for it.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernel_ext.wire import is_dense

DELIMITER = b"<IDS|MSG>"
MAX_HEADER_BYTES = 4096
"""A header, or a parent header: about 200 bytes, and twice that with long names."""
MAX_VALUES = 300_000
"""Values in one content: 90 bytes of memory and a ten-thousandth of a millisecond each, for as few as two bytes of
JSON. An honest output has at most as many as fit into 524,288 characters of data."""

_MAX_ENVELOPE_PARTS = 4  # up to the delimiter: a topic, or the few identities of a route
_SIGNED_PARTS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that answers a certain request. `content` is raw."""

    kind: str
    content: bytes = field(repr=False)


class Signer:
    """Writes and reads messages under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "<Signer>"

    def request(self, kind: str, content: Mapping[str, Any], id_: str) -> list[bytes]:
        """The parts of a request. It bears no date: nothing in a kernel reads one."""
        header = {"msg_id": id_, "msg_type": kind, "username": "", "session": "gateway", "version": "5.3"}
        signed = [json.dumps(header).encode(), b"{}", b"{}", json.dumps(content).encode()]
        return [DELIMITER, self._sign(signed), *signed]

    def answer(self, parts: Sequence[bytes], id_: str) -> Answer | None:
        """What these parts say in answer to request `id_`. None where they do not, or are no message at all."""
        at = next((n for n, part in enumerate(parts[:_MAX_ENVELOPE_PARTS]) if part == DELIMITER), None)
        if at is None or len(parts) < at + 2 + _SIGNED_PARTS:
            return None
        signature, signed = parts[at + 1], parts[at + 2 : at + 2 + _SIGNED_PARTS]
        header, parent, _, content = signed
        if max(len(header), len(parent)) > MAX_HEADER_BYTES or id_.encode() not in parent:
            return None
        if not hmac.compare_digest(signature, self._sign(signed)):
            return None
        answered, answering = read(parent), read(header)
        if answered is None or answering is None or answered.get("msg_id") != id_:
            return None
        kind = answering.get("msg_type")
        return Answer(kind, content) if isinstance(kind, str) else None

    def _sign(self, parts: Sequence[bytes]) -> bytes:
        digest = hmac.new(self._key, digestmod="sha256")
        for part in parts:
            digest.update(part)
        return digest.hexdigest().encode()


def read(raw: bytes) -> dict[str, Any] | None:
    """The JSON object, or None: a kernel may send anything, in any shape, depth and number."""
    if is_dense(raw, MAX_VALUES):
        return None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
