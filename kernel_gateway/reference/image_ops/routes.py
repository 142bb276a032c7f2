"""The service over HTTP. Its routes are the operations of the catalog, no more and no fewer."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tornado.web import Application

from catalog import Catalog, Operation
from kernel_gateway.reference.image_ops.access import Access, Caller
from kernel_gateway.reference.image_ops.arguments import Reader
from kernel_gateway.reference.image_ops.service import Service
from kernel_gateway.reference.problems import BodyHandler, NotFoundHandler, Problem

_TEMPLATE = re.compile(r"\{([^{}/]+)\}")
Record = Callable[[Operation, Caller, int, bool], None]


@dataclass(frozen=True, slots=True)
class Route:
    operation: Operation
    reader: Reader


def application(catalog: Catalog, service: Service, access: Access, record: Record, max_body_bytes: int) -> Application:
    """Raises ValueError where the document and the service do not have the same operations."""
    named = {operation.name for operation in catalog.operations}
    if named != service.endpoints.keys():
        raise ValueError(f"document and service differ in {sorted(named ^ service.endpoints.keys())}")
    routes: dict[str, dict[str, Route]] = {}
    for operation in catalog.operations:
        routes.setdefault(operation.path, {})[operation.method] = Route(operation, Reader(operation))
    shared = {"service": service, "access": access, "record": record, "max_body_bytes": max_body_bytes}
    return Application(
        [(pattern(path), OperationHandler, {"routes": methods, **shared}) for path, methods in routes.items()],
        default_handler_class=NotFoundHandler,
    )


def pattern(path: str) -> str:
    """`/api/jobs/{id}` as the regular expression that Tornado matches."""
    literals = _TEMPLATE.split(path)
    return "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(literals))


class OperationHandler(BodyHandler):
    """One path of the document."""

    def initialize(
        self, routes: dict[str, Route], service: Service, access: Access, record: Record, max_body_bytes: int
    ) -> None:
        self._routes, self._service, self._access, self._record = routes, service, access, record
        self._max_body_bytes = max_body_bytes
        self._body = bytearray()
        self._route: Route | None = None
        self._caller: Caller | None = None
        self._replayed = False

    def admit(self) -> None:
        self._route = self._routes.get(str(self.request.method))
        if self._route is None:
            raise Problem(405, "method_not_allowed", "No such method", headers={"Allow": ", ".join(self._routes)})
        self._caller = self._access.caller(self.request.headers, self._route.operation)
        self._service.quota.charge(self._caller.organisation, requests=1)
        if (self.declared_bytes() or 0) > self._max_body_bytes:
            raise self._too_large()

    def receive(self, chunk: bytes) -> None:
        if len(self._body) + len(chunk) > self._max_body_bytes:
            raise self._too_large()
        self._body += chunk

    async def get(self, **path: str) -> None:
        await self._answer(path)

    async def post(self, **path: str) -> None:
        await self._answer(path)

    async def put(self, **path: str) -> None:
        await self._answer(path)

    async def patch(self, **path: str) -> None:
        await self._answer(path)

    async def delete(self, **path: str) -> None:
        await self._answer(path)

    async def _answer(self, path: dict[str, str]) -> None:
        self.check_admitted()
        assert self._route is not None and self._caller is not None
        query = {
            name: [value.decode("utf-8", "replace") for value in values]
            for name, values in self.request.query_arguments.items()
        }
        arguments = self._route.reader.read(path, query, self.request.headers, bytes(self._body))
        answer, self._replayed = await self._service.answer(
            self._route.operation, self.request.path, arguments, self._caller
        )
        self.set_status(answer.status)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        if self._replayed:
            self.set_header("Idempotency-Replayed", "true")
        self._set_quota_headers()
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(answer.body))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self._set_quota_headers()
        super().write_error(status_code, **kwargs)

    def on_finish(self) -> None:
        if self._route is not None and self._caller is not None:
            self._record(self._route.operation, self._caller, self.get_status(), self._replayed)

    def _set_quota_headers(self) -> None:
        organisation = self._caller.organisation if self._caller else None
        for name, value in self._service.quota.headers(organisation).items():
            self.set_header(name, value)

    def _too_large(self) -> Problem:
        return Problem(413, "too_large", "The body is too large", detail=f"at most {self._max_body_bytes} bytes")
