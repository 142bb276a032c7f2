"""The object store over HTTP: one PUT per signed link, GET as often as the link lives."""

from tornado.web import Application

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.object_store import ObjectStore, Slot, Writing
from kernel_gateway.reference.problems import BodyHandler, NotFoundHandler, Problem

_CHUNK_BYTES = 64 * 1024
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif", "image/gif": "gif"}


def application(store: ObjectStore) -> Application:
    return Application(
        [(r"/files/([A-Za-z0-9_-]{1,64})", FileHandler, {"store": store})], default_handler_class=NotFoundHandler
    )


class FileHandler(BodyHandler):
    def initialize(self, store: ObjectStore) -> None:
        self._store = store
        self._writing: Writing | None = None

    def admit(self) -> None:
        object_id = self.path_args[0]
        slot = self._store.slot(object_id)
        if slot is None:
            raise Problem(404, "not_found", "No such file")
        method = str(self.request.method)
        allowed = self._store.allows(method, object_id, slot, lambda name: self.get_query_argument(name, ""))
        if allowed == "bad":
            raise Problem(403, "bad_link", "The link is not valid for this request")
        if allowed == "expired":
            raise Problem(410, "expired_link", "The link has expired")
        if method == "PUT":
            self._admit_bytes(object_id, slot)

    def _admit_bytes(self, object_id: str, slot: Slot) -> None:
        size = self.declared_bytes()
        if size is None:
            raise Problem(411, "length_required", "Content-Length is required")
        if size > slot.size_bytes:
            raise Problem(413, "too_large", "The body is larger than was declared")
        if size < slot.size_bytes:
            raise Problem(400, "size_mismatch", "The body is smaller than was declared")
        if self.request.headers.get("Content-Type", "").lower() != slot.content_type:
            raise Problem(415, "content_mismatch", "Content-Type is not the one that was declared")
        self._writing = self._store.begin(object_id)
        if self._writing is None:
            raise Problem(409, "already_written", "The link was used already")

    def receive(self, chunk: bytes) -> None:
        if self._writing is not None:
            self._writing.write(chunk)

    async def put(self, object_id: str) -> None:
        self.check_admitted()
        writing, slot = self._writing, self._store.slot(object_id)
        if writing is None or slot is None:
            raise Problem(404, "not_found", "No such file")
        self._check_content(writing, slot)
        # An fsync of at most 50 MB on the loop: this world serves one developer.
        if not writing.commit():
            raise Problem(404, "not_found", "No such file")
        self._writing = None
        self.set_status(204)

    def _check_content(self, writing: Writing, slot: Slot) -> None:
        if writing.size_bytes != slot.size_bytes:
            raise Problem(400, "size_mismatch", "The body is not as long as was declared")
        if pipeline.sniff(writing.head) != slot.content_type:
            raise Problem(415, "content_mismatch", "The bytes are not of the declared content type")
        if slot.sha256 not in (None, writing.sha256):
            raise Problem(422, "checksum_mismatch", "The bytes do not have the declared SHA-256")

    async def get(self, object_id: str) -> None:
        self.check_admitted()
        path, slot = self._store.path(object_id), self._store.slot(object_id)
        if path is None or slot is None:
            raise Problem(404, "not_found", "No such file")
        self.set_header("Content-Type", slot.content_type)
        self.set_header("Content-Length", str(path.stat().st_size))
        self.set_header("Content-Disposition", f'attachment; filename="image.{_SUFFIXES[slot.content_type]}"')
        self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                self.write(chunk)
                await self.flush()

    def on_finish(self) -> None:
        self._abandon()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._abandon()

    def _abandon(self) -> None:
        if self._writing is not None:
            self._writing.abandon()
            self._writing = None
