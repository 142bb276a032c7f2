"""Failures as RFC 9457 problem details, and the Tornado handlers that answer with them."""

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from http.client import responses
from typing import Any

from tornado.web import HTTPError, RequestHandler, stream_request_body

logger = logging.getLogger(__name__)

MAX_DRAINED_BYTES = 64 * 1024 * 1024  # closing on unread bytes resets the connection, and the client loses the answer


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An anticipated failure of the reference world. `errors` are (pointer, detail) pairs."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        *,
        detail: str = "",
        kind: str = "",
        errors: Sequence[tuple[str, str]] = (),
        violated: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.status, self.code, self.headers = status, code, dict(headers or {})
        self.body: dict[str, Any] = {
            "type": kind or f"urn:image-ops:problem:{code}",
            "title": title,
            "status": status,
            "code": code,
        }
        if detail:
            self.body["detail"] = detail
        if violated:
            self.body["violated-policies"] = list(violated)
        if errors:
            self.body["errors"] = [{"pointer": pointer, "detail": text} for pointer, text in errors]


class ProblemHandler(RequestHandler):
    """Answers every failure with a problem, and logs a crash without its message, which could hold a signed link."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        problem = error if isinstance(error, Problem) else _problem_of(status_code)
        self.set_status(problem.status)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", "application/problem+json")
        self.finish(json.dumps(problem.body))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, Problem | HTTPError):
            where = "".join(traceback.format_tb(tb)) if tb else ""
            logger.error("%s raised %s\n%s", type(self).__name__, getattr(typ, "__name__", "an exception"), where)

    def compute_etag(self) -> None:
        return None


class NotFoundHandler(ProblemHandler):
    """Every path that is no route."""

    def prepare(self) -> None:
        raise Problem(404, "not_found", "No such path")


@stream_request_body
class BodyHandler(ProblemHandler):
    """Decides in `admit` before the body arrives, but answers after it, so that the client always gets the answer."""

    refusal: Problem | None = None

    def admit(self) -> None:
        """Looks at the request's head. Raises Problem."""

    def receive(self, chunk: bytes) -> None:
        """Takes a part of the body of an admitted request. Raises Problem."""

    def prepare(self) -> None:
        try:
            self.admit()
        except Problem as problem:
            if (self.declared_bytes() or 0) > MAX_DRAINED_BYTES:
                raise
            self.refusal = problem

    def declared_bytes(self) -> int | None:
        """The Content-Length, or None where the body is chunked or there is none."""
        text = self.request.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def data_received(self, chunk: bytes) -> None:
        if self.refusal is None:
            try:
                self.receive(chunk)
            except Problem as problem:
                self.refusal = problem

    def check_admitted(self) -> None:
        """The first thing every method does."""
        if self.refusal is not None:
            raise self.refusal


def _problem_of(status: int) -> Problem:
    phrase = responses.get(status, "Error")
    code = "internal" if status >= 500 else phrase.lower().replace(" ", "_")
    return Problem(status, code, "The service failed" if status >= 500 else phrase)
