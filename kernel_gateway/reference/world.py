"""The stand-in world: issuer, object store and image service on three loopback ports, in one folder.

It is the only file that puts the parts together. For tests and demonstrations: who can read the folder can mint tokens.
"""

import asyncio
import contextlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tornado.httpserver import HTTPServer

import catalog
from catalog import Catalog
from catalog.document import read
from kernel_gateway.reference import object_routes
from kernel_gateway.reference.folder_lock import FolderInUseError, FolderLock
from kernel_gateway.reference.image_ops import routes
from kernel_gateway.reference.image_ops.access import Access
from kernel_gateway.reference.image_ops.calls import Call, Calls
from kernel_gateway.reference.image_ops.idempotency import Idempotency
from kernel_gateway.reference.image_ops.jobs import Jobs
from kernel_gateway.reference.image_ops.quota import Quota
from kernel_gateway.reference.image_ops.retention import Retention
from kernel_gateway.reference.image_ops.service import Parts, Service
from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.image_ops.state import State
from kernel_gateway.reference.issuer import Issuer, Minter
from kernel_gateway.reference.keys import SigningKeys
from kernel_gateway.reference.loopback import ReferenceWorldWarning, bind_all, port_of, serve
from kernel_gateway.reference.object_store import ObjectStore
from kernel_gateway.reference.problems import MAX_DRAINED_BYTES
from kernel_gateway.reference.signed_links import LinkKeys

__all__ = ["FolderInUseError", "Ports", "ReferenceWorldWarning", "World", "image_ops_catalog"]

SERVER = "image_ops"
_SPEC = Path(catalog.__file__).parent / "specs" / f"{SERVER}.openapi.yaml"
_FORM_BYTES = 64 * 1024  # a token request is under 1 KiB


@dataclass(frozen=True, slots=True)
class Ports:
    """0 takes a free port."""

    issuer: int = 0
    image_ops: int = 0
    storage: int = 0


@cache
def image_ops_catalog() -> Catalog:
    """The operations that the image service serves. Read once: parsing the document takes 0.1 s."""
    return Catalog.from_openapi(read(_SPEC), SERVER)


class World:
    """Build it, `start` it on the running loop, `stop` it. `audience` is that of minted tokens: the gateway's.

    Its URLs and its client's credential are there from the beginning: the ports are bound when it is built. `asker_key`
    verifies the gateway's signed word on whose behalf it calls. The folder keeps keys and state over a restart; it has
    one world at a time, and building a second raises FolderInUseError.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        ports: Ports | None = None,
        audience: str = "urn:kernel-gateway",
        asker_key: Ed25519PublicKey | None = None,
        settings: ImageOpsSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        warnings.warn(
            "the reference world is for tests and demonstrations; never let it serve real users",
            ReferenceWorldWarning,
            stacklevel=2,
        )
        ports, self._settings = ports or Ports(), settings or ImageOpsSettings()
        self._folder, self.audience = folder, audience
        wanted = {"issuer": ports.issuer, SERVER: ports.image_ops, "storage": ports.storage}
        self._sockets = bind_all(host, wanted)
        try:
            self._lock = FolderLock(folder)
        except BaseException:
            self._close_sockets()
            raise
        literal = f"[{host}]" if ":" in host else host
        hosts = {name: f"{literal}:{port_of(sockets)}" for name, sockets in self._sockets.items()}
        self.issuer_url, self.image_ops_url = f"http://{hosts['issuer']}", f"http://{hosts[SERVER]}"
        self.storage_host, storage_url = hosts["storage"], f"http://{hosts['storage']}"
        self.jwks_url, self.token_url = f"{self.issuer_url}/.well-known/jwks.json", f"{self.issuer_url}/token"

        signing = SigningKeys(folder / "keys")
        self.catalog = image_ops_catalog()
        self._minter = Minter(self.issuer_url, audience, signing, clock)
        scopes = {operation.scope for operation in self.catalog.operations}
        self._issuer = Issuer(self._minter, folder, [self.image_ops_url], scopes)
        self.client_id, self.client_secret = self._issuer.client_id, self._issuer.client_secret
        self.mint = self._minter.mint

        self.link_keys = LinkKeys(folder / "objects" / "link-keys.json", clock)
        self._store = ObjectStore(folder / "objects", self.link_keys, storage_url, clock)
        self._access = Access(self.issuer_url, self.image_ops_url, signing.find, asker_key, clock)
        self._state = State(folder / "image_ops.sqlite")
        self._build(clock)
        self._servers: list[HTTPServer] = []
        self._sweeper: asyncio.Task[None] | None = None

    def _build(self, clock: Callable[[], float]) -> None:
        """The image service from its parts."""
        state, store, settings = self._state, self._store, self._settings
        self._jobs = Jobs(state, store, settings, clock)
        quota = Quota(state, settings, clock)
        idempotency = Idempotency(state, clock, settings.idempotency_seconds)
        forget = (idempotency.forget_old, quota.forget_old)
        self._retention = Retention(state, store, self._jobs, settings, clock, forget)
        parts = Parts(state, store, self._jobs, quota, idempotency, self._retention)
        self._service = Service(parts, settings, clock)
        self._calls = Calls(state, clock)

    async def start(self) -> None:
        """Serves from here on; deletes what a process that died has left behind."""
        self._retention.drop_orphans()
        self._minter.save(self._folder)
        settings, sockets = self._settings, self._sockets
        images = routes.application(
            self.catalog, self._service, self._access, self._calls.record, settings.max_body_bytes
        )
        files = object_routes.application(self._store)
        self._servers = [
            serve(self._issuer.application(), sockets["issuer"], max_body_bytes=_FORM_BYTES),
            serve(images, sockets[SERVER], max_body_bytes=MAX_DRAINED_BYTES),
            serve(files, sockets["storage"], max_body_bytes=max(MAX_DRAINED_BYTES, settings.max_upload_bytes)),
        ]
        self._jobs.start()
        self._sweeper = asyncio.create_task(self._retention.run())

    async def stop(self) -> None:
        """Ends the running jobs (they start again with the world), closes every connection and the state."""
        for server in self._servers:
            server.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        await self._jobs.stop()
        for server in self._servers:
            await server.close_all_connections()
        self._close_sockets()
        self._state.close()
        self._lock.release()  # last: the next world deletes what it takes for left behind

    def _close_sockets(self) -> None:
        for each in self._sockets.values():
            for listening in each:
                listening.close()

    async def sweep(self) -> None:
        """Deletes what is due now, without waiting for the next regular sweep."""
        await self._retention.sweep()

    def calls(self) -> list[Call]:
        """What the image service was asked so far: its own count."""
        return self._calls.all()

    @property
    def storage_folder(self) -> Path:
        """The only folder that ever holds bytes of images."""
        return self._folder / "objects"

    def __repr__(self) -> str:
        return f"<World image_ops={self.image_ops_url} issuer={self.issuer_url} storage={self.storage_host}>"
