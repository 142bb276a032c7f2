"""A session without a kernel: cells run in a namespace of their own and are saved after each, into a dict.

Runs in a process that has the kernel image's packages; see `in_image` of conftest.py.
"""

import mmap
import sys
import types
from typing import Any

from kernel_ext.checkpoint.loader import load
from kernel_ext.checkpoint.saver import Budget, Saver

AMPLE = Budget(seconds=60.0, bytes=1 << 31)


class NothingFound:
    """A guard of sessions without images."""

    def replace(self, obj: Any) -> None:
        return None

    def suspects(self, data: Any) -> str:
        return ""


class Session:
    """`store` is {chunk: bytes}; `manifests` are by cell."""

    def __init__(self, guard: Any = None, store: dict[str, bytes] | None = None) -> None:
        self.module = sys.modules["__main__"] = types.ModuleType("__main__")
        self.namespace = vars(self.module)
        self.saver = Saver(self.namespace, tuple, guard or NothingFound())
        self.store: dict[str, bytes] = {} if store is None else store
        self.manifests: dict[int, dict[str, Any]] = {}
        self.cell = 0
        self.sent: dict[str, int] = {}

    def run(self, source: str) -> None:
        """A cell; that it raises is no reason not to save."""
        self.cell += 1
        try:
            exec(compile(source, f"<cell {self.cell}>", "exec"), self.namespace)
        except Exception:
            pass
        self.saver.ran(self.cell, source)

    def save(self, budget: Budget = AMPLE, stop: Any = lambda: False, **options: Any) -> dict[str, Any]:
        self.sent = {}
        manifest = self.saver.save(budget, self.put, stop, **options)
        self.saver.committed(manifest)
        self.manifests[self.cell] = manifest
        return manifest

    def put(self, name: str, data: memoryview) -> None:
        assert name not in self.sent
        self.store[name] = bytes(data)
        self.sent[name] = len(data)

    def cells(self, *sources: str) -> dict[str, Any]:
        """Runs and saves each; the last manifest."""
        for source in sources:
            self.run(source)
            manifest = self.save()
        return manifest

    def unit(self, name: str) -> dict[str, Any]:
        manifest = self.manifests[max(self.manifests)]
        return next(unit for unit in manifest["units"] if name in unit["names"])


def restored(manifest: dict[str, Any], store: dict[str, bytes], guard: Any = None) -> "tuple[Session, dict[str, str]]":
    """Another session that begins with what was saved, and what is lost of it."""
    session = Session(guard, dict(store))

    def stream(index: int) -> bytes:
        return b"".join(store[name] for name in manifest["units"][index]["stream"]["chunks"])

    def buffers(index: int) -> list[memoryview]:
        return [mapped(store, each) for each in manifest["units"][index]["buffers"]]

    lost = load(manifest, stream, buffers, session.namespace)
    session.saver.adopt(manifest)
    session.cell = manifest["cell"]
    session.manifests[session.cell] = manifest
    return session, lost


def mapped(store: dict[str, bytes], buffer: dict[str, Any]) -> memoryview:
    """As a kernel gets it: writable memory that nothing else holds."""
    memory = mmap.mmap(-1, max(buffer["bytes"], 1))
    memory.write(b"".join(store[name] for name in buffer["chunks"]))
    found = memoryview(memory)[: buffer["bytes"]]
    return found.toreadonly() if buffer["read_only"] else found
