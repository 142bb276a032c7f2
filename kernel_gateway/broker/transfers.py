"""READ and WRITE: the bytes behind a handle, in and out of a sandbox, with one event each."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import httpx2

from catalog.operation import Effect
from catalog.risk import RISK_OF_EFFECT
from kernel_gateway.audit.events import BlobMoved
from kernel_gateway.broker.cell import Account, Cell
from kernel_gateway.broker.services import Services, insist
from kernel_gateway.errors import GatewayError
from kernel_gateway.handles import BlobHandle, Direction
from kernel_gateway.limits.usage import Usage
from kernel_gateway.upstreams.base import UpstreamError


class Transfers:
    """A handle is used under the scope of the operation that gave it, as the token stands now."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def read(self, head: Mapping[str, Any], account: Account, cell: Cell) -> tuple[dict[str, Any], bytes]:
        """Raises GatewayError; a blob that is not as long as was declared is `upstream_invalid`."""
        settings = self._services.settings
        with self._recorded("read", account, cell) as moved:
            handle = self._allowed(head, "read", account, cell)
            limit = settings.max_blob_bytes if handle.size is None else handle.size
            if limit > settings.max_blob_bytes:
                raise GatewayError(
                    "too_large", f"the blob has {limit} bytes, over {settings.max_blob_bytes}; make it smaller"
                )
            with (
                account.flight.transfer(limit, settings.max_blob_bytes_in_flight),
                await self._services.reserve(Usage(bytes=limit), account, cell) as reservation,
            ):
                upstream = self._services.upstream(handle.server)
                data, content_type = await upstream.fetch(
                    handle.url, max_bytes=limit, deadline_seconds=settings.transfer_timeout_seconds
                )
                reservation.commit(Usage(bytes=len(data)))
            if handle.size not in (None, len(data)):
                message = f"the blob has {len(data)} bytes where {handle.size} were declared"
                raise UpstreamError("upstream_invalid", message)
            moved.size = len(data)
            return {"content_type": handle.content_type or content_type, "size": len(data)}, data

    async def write(self, head: Mapping[str, Any], data: bytes, account: Account, cell: Cell) -> dict[str, Any]:
        """Raises GatewayError. One shot: the handle is spent once anything may have reached the storage.

        A wrong size, or a storage that could not be reached at all, changed nothing: the handle stays good.
        However many come at once, `max_blob_bytes_in_flight` bounds the bytes that wait for a storage: no await stands
        before a write takes its share, so one that finds no room is refused at once and this door holds none of it.
        """
        settings = self._services.settings
        with self._recorded("write", account, cell) as moved:
            handle = self._allowed(head, "write", account, cell)
            if len(data) > settings.max_blob_bytes:
                raise GatewayError(
                    "too_large", f"a blob takes at most {settings.max_blob_bytes} bytes; make it smaller"
                )
            if handle.size not in (None, len(data)):
                message = f"{handle.size} bytes were declared, not {len(data)}; write exactly those or declare anew"
                raise GatewayError("invalid", message)
            with (
                account.flight.transfer(len(data), settings.max_blob_bytes_in_flight),
                await self._services.reserve(Usage(bytes=len(data)), account, cell),
            ):
                upstream = self._services.upstream(handle.server)
                handle = self._services.handles.take(handle.id, account.organisation, account.session_id, "write")
                try:
                    await upstream.store(
                        handle.url, data, headers=handle.headers, deadline_seconds=settings.transfer_timeout_seconds
                    )
                except UpstreamError as error:
                    if not error.sent:
                        self._services.handles.give_back(handle)
                    raise
            moved.size = len(data)
            return {"size": len(data)}

    def _allowed(self, head: Mapping[str, Any], direction: Direction, account: Account, cell: Cell) -> BlobHandle:
        id_ = head.get("handle")
        if not isinstance(id_, str):
            raise GatewayError("invalid", "`handle` must be the id of a blob")
        handle = self._services.handles.look(id_, account.organisation, account.session_id, direction)
        risk, host = RISK_OF_EFFECT[Effect(direction)], httpx2.URL(handle.url).netloc.decode()
        insist(
            self._services.decide(
                f"blob_{direction}",
                handle.server,
                handle.scope,
                account,
                cell,
                approved=True,  # with the call that gave the handle
                risk=risk,
                host=host,
            )
        )
        return handle

    @contextmanager
    def _recorded(self, direction: Literal["read", "write"], account: Account, cell: Cell) -> Iterator["_Moved"]:
        moved, status, started = _Moved(), "internal", self._services.clock()
        try:
            yield moved
            status = "ok"
        except GatewayError as error:
            status = error.code
            raise
        except asyncio.CancelledError:
            status = "canceled"
            raise
        finally:
            now = self._services.clock()
            self._services.journal.record(
                BlobMoved(
                    at=now,
                    organisation=account.organisation,
                    subject=cell.principal.subject,
                    client=cell.principal.client,
                    session_id=account.session_id,
                    cell=cell.number,
                    cell_id=cell.cell_id,
                    direction=direction,
                    bytes=moved.size,
                    status=status,
                    duration_ms=max(now - started, 0.0) * 1000,
                )
            )


class _Moved:
    """How many bytes arrived at the other side."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0
