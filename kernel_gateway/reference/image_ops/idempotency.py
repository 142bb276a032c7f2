"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): one effect and one answer per key.

Only answers of requests that took effect are kept; a refusal frees its key. What is kept holds ids, never links.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kernel_gateway.reference.image_ops.state import State
from kernel_gateway.reference.problems import Problem

_ITS_ROW = "organisation = ? and operation = ? and key = ?"


@dataclass(frozen=True, slots=True)
class Key:
    organisation: str
    operation: str
    text: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A body may hold links that are not yet signed: see `links`."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


def fingerprint(method: str, path: str, arguments: Mapping[str, Any]) -> str:
    canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{method}\n{path}\n{canonical}".encode()).hexdigest()


class Idempotency:
    def __init__(self, state: State, clock: Callable[[], float], keep_seconds: float) -> None:
        self._state, self._clock, self._keep_seconds = state, clock, keep_seconds
        self._state.run("delete from idempotency where status is null")  # in flight when the process died

    def begin(self, key: Key) -> Answer | None:
        """None: go on, then `finish` or `release`. An answer: replay it. Raises Problem 409 or 422."""
        self.forget_old()
        rows = self._state.rows(
            f"select fingerprint, status, headers, body from idempotency where {_ITS_ROW}",  # noqa: S608 - a constant
            *(key.organisation, key.operation, key.text),
        )
        if not rows:
            self._state.run(
                "insert into idempotency (organisation, operation, key, fingerprint, created_at)"
                " values (?, ?, ?, ?, ?)",
                *(key.organisation, key.operation, key.text, key.fingerprint, self._clock()),
            )
            return None
        found = rows[0]
        if found["fingerprint"] != key.fingerprint:
            raise Problem(422, "key_reused", "The idempotency key was used with another request")
        if found["status"] is None:
            title = "A request with this idempotency key is in flight"
            raise Problem(409, "in_flight", title, headers={"Retry-After": "1"})
        return Answer(found["status"], json.loads(found["body"]), json.loads(found["headers"]))

    def finish(self, key: Key, answer: Answer) -> None:
        self._state.run(
            f"update idempotency set status = ?, headers = ?, body = ? where {_ITS_ROW}",  # noqa: S608 - a constant
            *(answer.status, json.dumps(dict(answer.headers)), json.dumps(answer.body)),
            *(key.organisation, key.operation, key.text),
        )

    def release(self, key: Key) -> None:
        self._state.run(
            f"delete from idempotency where {_ITS_ROW}",  # noqa: S608 - a constant
            *(key.organisation, key.operation, key.text),
        )

    def forget_old(self) -> None:
        oldest = self._clock() - self._keep_seconds
        self._state.run("delete from idempotency where created_at <= ? and status is not null", oldest)
