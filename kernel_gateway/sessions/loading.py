"""Puts what a commit holds into a kernel: small state in the message itself, large state through its memory file."""

import os
from collections.abc import Collection

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import Life
from kernel_gateway.sessions.manifest import Layout, Manifest

_IN_A_MESSAGE_BYTES = 1024 * 1024  # beyond it the memory file costs less


class Loading:
    """Of one session. Both raise GatewayError: kernel_died, and what the store raises."""

    def __init__(self, session_id: str, life: Life, durable: Durable) -> None:
        self._checkpoints, self._mark = durable.checkpoints, durable.mark(session_id, life)
        self._max_bytes = durable.settings.max_state_bytes

    def __repr__(self) -> str:
        return f"<Loading {self._mark.session_id}>"

    async def last(self, kernel: Kernel, manifest: Manifest, keep: Collection[str]) -> dict[str, str]:
        """The state that the session goes on with; variables to `keep` stay as they are in the kernel. Returns what
        could not be loaded, with reasons."""
        raw = manifest.written()
        layout = Layout.of(manifest, len(raw), self._max_bytes)
        head = _head(manifest, raw, layout, keep) | {"adopt": True}
        if layout.size <= _IN_A_MESSAGE_BYTES:
            return await kernel.load(head, await self._message(raw, layout))
        with kernel.memory.filling(layout.size) as file:
            os.pwrite(file, raw, 0)
            await self._checkpoints.read_into(self._mark, layout.places, file)
        return await kernel.load({**head, "size": layout.size})

    async def passing(self, kernel: Kernel, manifest: Manifest, keep: Collection[str], max_bytes: int) -> None:
        """A state that cells are run again on, before the last one is loaded. Raises GatewayError too_large too."""
        raw = manifest.written()
        layout = Layout.of(manifest, len(raw), self._max_bytes)
        if layout.size > max_bytes:
            raise GatewayError("too_large", f"what its cells need has {layout.size} bytes, and {max_bytes} are loaded")
        lost = await kernel.load(_head(manifest, raw, layout, keep), await self._message(raw, layout))
        if "*" in lost:
            raise GatewayError("internal", f"what its cells need could not be loaded: {lost['*']}")

    async def _message(self, manifest: bytes, layout: Layout) -> bytes:
        body = bytearray(layout.size)
        body[: len(manifest)] = manifest
        chunks = await self._checkpoints.read(self._mark, [name for name, _ in layout.places])
        for (_, at), chunk in zip(layout.places, chunks, strict=True):
            body[at : at + len(chunk)] = chunk
        if len(body) != layout.size:
            raise GatewayError("internal", "its manifest and its chunks do not agree")
        return bytes(body)


def _head(manifest: Manifest, raw: bytes, layout: Layout, keep: Collection[str]) -> dict[str, object]:
    return {
        "manifest": len(raw),
        "count": manifest.cell + 1,
        "units": layout.units,
        "keep": sorted(keep),
        "size": 0,
        "adopt": False,
    }
