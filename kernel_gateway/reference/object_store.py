"""Keeps bytes under its own folder and hands out signed links to them. The law: a deleted object leaves no file.

A *slot* says what may be written under an id (type, exact size, perhaps a digest); an object is a slot with its bytes.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from kernel_gateway.reference.signed_links import METHODS, Claim, LinkKeys

HEAD_BYTES = 256  # kept of what is written, for the recognition of its format
_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class Slot:
    content_type: str
    size_bytes: int
    sha256: str | None = None


class ObjectStore:
    """`url` is the base of the links. Not for two processes at once."""

    def __init__(self, folder: Path, keys: LinkKeys, url: str, clock: Callable[[], float]) -> None:
        self._folder, self._keys, self.url, self._clock = folder, keys, url, clock
        for name in ("slots", "objects", "partial"):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in (folder / "partial").iterdir():  # a process that died while it wrote
            left.unlink()

    def reserve(self, slot: Slot) -> str:
        """A new id of 128 random bits under which exactly these bytes may be written."""
        object_id = secrets.token_urlsafe(16)
        self._slot_path(object_id).write_text(json.dumps(asdict(slot)), encoding="utf-8")
        return object_id

    def slot(self, object_id: str) -> Slot | None:
        if not _OBJECT_ID.fullmatch(object_id):
            return None
        try:
            return Slot(**json.loads(self._slot_path(object_id).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def path(self, object_id: str) -> Path | None:
        """Where the bytes are, once they are all there."""
        path = self._folder / "objects" / object_id
        return path if _OBJECT_ID.fullmatch(object_id) and path.is_file() else None

    def link(self, object_id: str, op: str, expires_at: int) -> str:
        """A signed URL; `op` is put or get. Of an object that is gone it leads to 404."""
        slot = self.slot(object_id) or Slot("", 0)
        kid, signature = self._keys.sign(Claim(op, object_id, expires_at, slot.content_type, slot.size_bytes))
        query = urlencode({"exp": expires_at, "kid": kid, "op": op, "sig": signature})
        return f"{self.url}/files/{object_id}?{query}"

    def allows(self, method: str, object_id: str, slot: Slot, query: Callable[[str], str]) -> str:
        """`ok`, `bad` or `expired` for a link's parameters."""
        op, exp = query("op"), query("exp")
        if METHODS.get(op) != method or not re.fullmatch(r"[0-9]{1,12}", exp):
            return "bad"
        claim = Claim(op, object_id, int(exp), slot.content_type, slot.size_bytes)
        if not self._keys.verifies(query("kid"), query("sig"), claim):
            return "bad"
        return "ok" if claim.expires_at > self._clock() else "expired"

    def begin(self, object_id: str) -> "Writing | None":
        """Starts to write into a slot; None where the bytes are there or on their way."""
        if self.path(object_id):
            return None
        part = self._folder / "partial" / object_id
        try:
            return Writing(part, part.open("xb"), self._folder / "objects" / object_id, self._slot_path(object_id))
        except FileExistsError:
            return None

    def scratch(self) -> Path:
        """A path for a new file that `adopt` or `discard` takes away again."""
        return self._folder / "partial" / secrets.token_urlsafe(16)

    def adopt(self, scratch: Path, slot: Slot) -> str:
        """Makes a finished scratch file an object."""
        object_id = self.reserve(slot)
        scratch.replace(self._folder / "objects" / object_id)
        return object_id

    def delete(self, object_id: str) -> int:
        """Removes bytes, part of them that are on their way, and the slot. Returns the bytes that were complete."""
        path = self.path(object_id)
        freed = path.stat().st_size if path else 0
        if _OBJECT_ID.fullmatch(object_id):
            self._slot_path(object_id).unlink(missing_ok=True)
            for name in ("objects", "partial"):
                (self._folder / name / object_id).unlink(missing_ok=True)
        return freed

    def ids(self) -> set[str]:
        return {path.stem for path in (self._folder / "slots").iterdir()}

    def _slot_path(self, object_id: str) -> Path:
        return self._folder / "slots" / f"{object_id}.json"

    def __repr__(self) -> str:
        return f"<ObjectStore {self.url} with {len(self.ids())} slots>"


class Writing:
    """Bytes on their way into a slot: into a partial file, then renamed. End it with `commit` or `abandon`."""

    def __init__(self, part: Path, file: BinaryIO, final: Path, slot_path: Path) -> None:
        self._part, self._file, self._final, self._slot_path = part, file, final, slot_path
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.head = b""

    def write(self, chunk: bytes) -> None:
        self.head += chunk[: HEAD_BYTES - len(self.head)]
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        self._file.write(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def commit(self) -> bool:
        """Durable when it returns True; False where the slot was deleted meanwhile, and nothing is left."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if not self._slot_path.exists():
            self._part.unlink(missing_ok=True)
            return False
        self._part.replace(self._final)
        folder = os.open(self._final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def abandon(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)
