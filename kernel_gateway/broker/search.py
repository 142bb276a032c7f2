"""SEARCH: the catalog as the running cell may use it."""

from collections.abc import Mapping
from typing import Any

from kernel_gateway.audit.events import Searched
from kernel_gateway.broker.cell import Account, Cell
from kernel_gateway.broker.services import Services, insist
from kernel_gateway.errors import GatewayError

SCOPE = "kernel.search"
MAX_QUERY_CHARACTERS = 500  # as for the outer door's search
MAX_HITS = 50


class Search:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def search(self, head: Mapping[str, Any], account: Account, cell: Cell) -> list[dict[str, Any]]:
        """[{"name", "description", "input_schema", "score"}], best first. Raises GatewayError."""
        insist(self._services.decide("search", "", SCOPE, account, cell, approved=False))
        await self._services.meter.admit("search", cell.principal)
        query, limit, threshold = head.get("query"), head.get("limit", 5), head.get("threshold", 0.0)
        if not isinstance(query, str) or not 1 <= len(query) <= MAX_QUERY_CHARACTERS:
            raise GatewayError("invalid", f"`query` must be text of 1 to {MAX_QUERY_CHARACTERS} characters")
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_HITS:
            raise GatewayError("invalid", f"`limit` must be a whole number from 1 to {MAX_HITS}")
        if not isinstance(threshold, int | float) or isinstance(threshold, bool):
            raise GatewayError("invalid", "`threshold` must be a number from 0 to 1")
        hits = self._services.visible(cell.principal).search(query, limit)
        found = [
            {
                "name": hit.operation.id,
                "description": hit.operation.summary,
                "input_schema": hit.operation.arguments,
                "score": hit.score,
            }
            for hit in hits
            if hit.score >= threshold
        ]
        self._services.journal.record(
            Searched(
                at=self._services.clock(),
                organisation=account.organisation,
                subject=cell.principal.subject,
                client=cell.principal.client,
                session_id=account.session_id,
                query_length=len(query),
                hits=len(found),
            )
        )
        return found
