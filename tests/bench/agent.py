"""Our side as an agent sees it: the official MCP client over HTTP, with a bearer token."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

_TIMEOUT_SECONDS = 120.0


class Agent:
    def __init__(self, client: Client, http: httpx2.AsyncClient, url: str) -> None:
        self._client, self._http, self._url = client, http, url

    async def cell(self, code: str, session_id: str = "", **more: Any) -> dict[str, Any]:
        """The structured result of a cell that went well. Raises RuntimeError for any other."""
        answer = await self._client.call_tool("execute", {"code": code, "session_id": session_id, **more})
        result = answer.structured_content or {}
        if result.get("status") != "ok":
            raise RuntimeError(f"a cell of the bench failed: {result}")
        return result

    async def session(self, session_id: str) -> dict[str, Any]:
        response = await self._http.get(f"{self._url}/v1/sessions/{session_id}")
        session: dict[str, Any] = response.raise_for_status().json()
        return session

    async def journalled(self, session_id: str, kind: str) -> int:
        """How many events of `kind` the session's transcript has."""
        response = await self._http.get(f"{self._url}/v1/sessions/{session_id}/transcript")
        lines = response.raise_for_status().text.splitlines()
        return sum(json.loads(line)["kind"] == kind for line in lines)

    async def close(self, session_id: str) -> None:
        response = await self._http.delete(f"{self._url}/v1/sessions/{session_id}")
        response.raise_for_status()


@asynccontextmanager
async def connected(url: str, token: str, **hooks: Any) -> AsyncIterator[Agent]:
    """`hooks` are httpx2's event hooks, for the profile."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT_SECONDS, event_hooks=hooks) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        yield Agent(client, http, url)
