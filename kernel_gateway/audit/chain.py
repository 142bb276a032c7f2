"""The chain: the MAC of each record covers it and the MAC before it. Pure.

What is authenticated is canonical JSON: one array in a fixed order, no spaces, ASCII, each float in its shortest form.
Whoever can write the database but has no key can change nothing unseen; what no chain can show by itself, that its
newest records are gone, signed heads show (heads.py).
"""

import hmac
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple


class Link(NamedTuple):
    """Where the chain is: the number of a record and its MAC, 64 hex characters."""

    seq: int
    mac: str


class Record(NamedTuple):
    """What is written of an event. `at` is in seconds since the epoch, `body` canonical JSON."""

    seq: int
    at: float
    kind: str
    session_id: str
    organisation: str
    body: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The first record that is not as it was written, and what is wrong with it."""

    seq: int
    what: str


START = Link(0, "0" * 64)


def mac(key: bytes, previous: Link, record: Record) -> str:
    """64 hex characters."""
    seq, at, kind, session_id, organisation, body = record
    text = f"{quoted(kind)},{quoted(session_id)},{quoted(organisation)},{quoted(body)}"
    return hmac.digest(key, f"[{quoted(previous.mac)},{seq},{at!r},{text}]".encode(), "sha256").hex()


def fault(key: bytes, link: Link, record: Record, stored: str) -> Fault | None:
    """What is wrong with a record, stored with that MAC, as the one after `link`."""
    expected = link.seq + 1
    if record.seq != expected:
        missing = "it is missing" if record.seq == expected + 1 else f"it and those up to {record.seq - 1} are missing"
        return Fault(expected, missing)
    if not _is_whole(record) or mac(key, link, record) != stored:
        return Fault(record.seq, "it was changed, moved or put in, or the one before it was")
    return None


def _is_whole(record: Record) -> bool:
    """SQLite stores values of any type in any column."""
    return all(type(value) is kind for value, kind in zip(record, (int, float, str, str, str, str), strict=True))
