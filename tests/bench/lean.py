"""Our side without the official client's cost: MCP's one POST a call, written and read on one open connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

_PROTOCOL = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": _PROTOCOL,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}
_MCP_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": _PROTOCOL,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "execute",
}
_MAX_LINE_BYTES = 16 * 1024 * 1024


class LeanAgent:
    """One request at a time. `leave` goes away without waiting for an answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str, token: str) -> None:
        self._reader, self._writer, self._url, self._token = reader, writer, url, token
        self._headers = {"Host": urlsplit(url).netloc, "Authorization": f"Bearer {token}"}
        self._calls = 0

    async def execute(self, code: str, session_id: str = "") -> dict[str, Any]:
        """The structured result, whatever became of the cell. Raises OSError where the connection ends instead."""
        await self.send(code, session_id)
        _, body = await self._receive()
        events = (line.removeprefix(b"data:") for line in body.splitlines() if line.startswith((b"data:", b"{")))
        answer = next(each for each in map(json.loads, filter(bytes.strip, events)) if each.get("id") == self._calls)
        structured: dict[str, Any] = answer.get("result", {}).get("structuredContent") or answer
        return structured

    async def cell(self, code: str, session_id: str = "") -> dict[str, Any]:
        """The result of a cell that went well. Raises RuntimeError for any other."""
        result = await self.execute(code, session_id)
        if result.get("status") != "ok":
            raise RuntimeError(f"a cell failed: {result}")
        return result

    async def send(self, code: str, session_id: str = "") -> None:
        """The request of a cell alone."""
        self._calls += 1
        arguments = {"code": code, "session_id": session_id}
        params = {"name": "execute", "arguments": arguments, "_meta": _META}
        call = {"jsonrpc": "2.0", "id": self._calls, "method": "tools/call", "params": params}
        await self._send("POST", "/mcp", json.dumps(call).encode(), _MCP_HEADERS)

    async def sessions(self) -> list[str]:
        await self._send("GET", "/v1/sessions")
        _, body = await self._receive()
        return [session["session_id"] for session in json.loads(body)["sessions"]]

    async def close(self, session_id: str) -> int:
        """The HTTP status: 204, or 404 where it has gone already."""
        await self._send("DELETE", f"/v1/sessions/{session_id}")
        return (await self._receive())[0]

    def another(self) -> AbstractAsyncContextManager["LeanAgent"]:
        """The same caller over a connection of its own."""
        return lean(self._url, self._token)

    def leave(self) -> None:
        self._writer.close()

    async def _send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        head = {**self._headers, **(headers or {}), "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        await self._writer.drain()

    async def _receive(self) -> tuple[int, bytes]:
        """Status and body of one response."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        status = int(head[0].split()[1])
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        if headers.get("transfer-encoding") != "chunked":
            return status, await self._reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return status, body


@asynccontextmanager
async def lean(url: str, token: str) -> AsyncIterator[LeanAgent]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=_MAX_LINE_BYTES)
    agent = LeanAgent(reader, writer, url, token)
    try:
        yield agent
    finally:
        agent.leave()
