"""An upstream's answer as it may enter the sandbox: within bounds, as documented, without links and blocked fields."""

import json
from collections.abc import Mapping
from typing import Any

from catalog import Operation
from kernel_gateway.broker.cell import Cell
from kernel_gateway.broker.marks import Mark, marks
from kernel_gateway.broker.schemas import Schemas
from kernel_gateway.broker.seal import Link, seal
from kernel_gateway.broker.services import Services
from kernel_gateway.handles import BlobHandle
from kernel_gateway.upstreams.base import Upstream, UpstreamAnswer, UpstreamError

_MAX_VALUE_BYTES = 1024 * 1024 - 1024  # in a RESULT's head, once sealed; a kernel takes far more from its gateway
_SURELY_SMALL_BYTES = 64 * 1024  # a received answer up to here cannot outgrow a head by being written again
_HANDLE_BYTES = 400  # at most, of a handle in an answer


class Answers:
    def __init__(self, services: Services, schemas: Schemas) -> None:
        self._services, self._schemas = services, schemas
        self._marks: dict[tuple[str, str], Mark] = {}

    def read(
        self,
        operation: Operation,
        upstream: Upstream,
        arguments: Mapping[str, Any],
        answer: UpstreamAnswer,
        blocked_fields: frozenset[str],
        cell: Cell,
    ) -> Any:
        """Its value, with handles for links. Raises UpstreamError where it is too large or not what was documented."""
        limit = self._services.settings.max_answer_bytes
        if answer.bytes_received > limit:
            raise UpstreamError("upstream_invalid", f"`{operation.server}` answered with more than {limit} bytes")
        self._schemas.check_answer(operation, answer.body)
        key = (operation.id, operation.digest)
        if (mark := self._marks.get(key)) is None:
            mark = self._marks[key] = marks(operation.answer)

        def mint(link: Link) -> BlobHandle:
            return self._mint(link, operation, cell)

        value, handles = seal(answer.body, mark, upstream.storage, arguments, mint, blocked_fields)
        is_small = answer.bytes_received + handles * _HANDLE_BYTES <= _SURELY_SMALL_BYTES
        if not is_small and len(_written(value)) > _MAX_VALUE_BYTES:
            message = f"the answer of `{operation.id}` is over {_MAX_VALUE_BYTES} bytes; ask for fewer results"
            raise UpstreamError("too_large", message, http_status=answer.status)
        return value

    def _mint(self, link: Link, operation: Operation, cell: Cell) -> BlobHandle:
        self._services.redactor.register(link.url)
        return self._services.handles.mint(
            link.url,
            server=operation.server,
            organisation=cell.principal.organisation,
            session_id=cell.session_id,
            direction=link.direction,
            size=link.size,
            content_type=link.content_type,
            expires_at=link.expires_at,
            headers=link.headers,
            scope=operation.scope,
        )


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
