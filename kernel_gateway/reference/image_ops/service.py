"""The five operations, each a method named like its operation, and idempotency around them."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog import Operation
from kernel_gateway.reference.image_ops.access import Caller
from kernel_gateway.reference.image_ops.answers import job_body, signed, upload_body
from kernel_gateway.reference.image_ops.arguments import refuse
from kernel_gateway.reference.image_ops.idempotency import Answer, Idempotency, Key, fingerprint
from kernel_gateway.reference.image_ops.jobs import Jobs
from kernel_gateway.reference.image_ops.quota import Quota
from kernel_gateway.reference.image_ops.retention import Retention
from kernel_gateway.reference.image_ops.rules import filename_errors, operation_errors, watermark_ids
from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.image_ops.state import FINAL, Job, State, Upload
from kernel_gateway.reference.object_store import ObjectStore, Slot
from kernel_gateway.reference.problems import Problem

Arguments = Mapping[str, Any]
_POLL_SECONDS = "1"  # most jobs take less
_GONE = ("expired", "canceled")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the operations work with."""

    state: State
    store: ObjectStore
    jobs: Jobs
    quota: Quota
    idempotency: Idempotency
    retention: Retention


class Service:
    """`endpoints` holds a method per operation name; a document that names another cannot be served."""

    def __init__(self, parts: Parts, settings: ImageOpsSettings, clock: Callable[[], float]) -> None:
        self._state, self._store, self._jobs, self.quota = parts.state, parts.store, parts.jobs, parts.quota
        self._idempotency, self._retention = parts.idempotency, parts.retention
        self._settings, self._clock = settings, clock
        endpoints = (self.uploads_init, self.jobs_create, self.jobs_get, self.cleanup_create, self.quota_get)
        self.endpoints = {each.__name__: each for each in endpoints}

    async def answer(
        self, operation: Operation, path: str, arguments: Arguments, caller: Caller
    ) -> tuple[Answer, bool]:
        """The answer with its links signed, and whether it is a replay. Raises Problem."""
        key = self._key(operation, path, arguments, caller)
        if key is not None and (stored := self._idempotency.begin(key)):
            return self._signed(stored), True
        try:
            answer = await self.endpoints[operation.name](arguments, caller)
        except BaseException:
            if key is not None:
                self._idempotency.release(key)
            raise
        if key is not None:
            self._idempotency.finish(key, answer)
        return self._signed(answer), False

    async def uploads_init(self, arguments: Arguments, caller: Caller) -> Answer:
        content_type, size_bytes = arguments["content_type"], arguments["size_bytes"]
        refuse(filename_errors(arguments.get("filename"), content_type))
        if size_bytes > self._settings.max_upload_bytes:
            detail = f"at most {self._settings.max_upload_bytes} bytes"
            raise Problem(413, "too_large", "The file is too large", detail=detail)
        self.quota.charge(caller.organisation, bytes=size_bytes)
        now = self._clock()
        slot = Slot(content_type, size_bytes, arguments.get("checksum_sha256"))
        upload = Upload(
            id=_new_id("upl"),
            organisation=caller.organisation,
            object_id=self._store.reserve(slot),
            size_bytes=size_bytes,
            created_at=now,
            expires_at=now + self._ttl_seconds(arguments),
        )
        self._state.add_upload(upload)
        return Answer(201, upload_body(upload, content_type, self._link_expiry(upload.expires_at)), {})

    async def jobs_create(self, arguments: Arguments, caller: Caller) -> Answer:
        operations = arguments["operations"]
        refuse(operation_errors(operations))
        for upload_id in (arguments["upload_id"], *watermark_ids(operations)):
            self._check_usable(upload_id, caller)
        self.quota.charge(caller.organisation, images=1, jobs=1)
        now = self._clock()
        job = Job(
            id=_new_id("job"),
            organisation=caller.organisation,
            upload_id=arguments["upload_id"],
            operations=operations,
            status="queued",
            created_at=now,
            started_at=None,
            finished_at=None,
            expires_at=now + self._ttl_seconds(arguments),
        )
        self._jobs.submit(job)
        headers = {"Location": f"/api/jobs/{job.id}", "Retry-After": _POLL_SECONDS}
        return Answer(202, job_body(job, self._link_expiry(job.expires_at)), headers)

    async def jobs_get(self, arguments: Arguments, caller: Caller) -> Answer:
        job = await self._current(arguments["id"], caller)
        wait_seconds = arguments.get("wait", 0)
        if wait_seconds and job.status not in FINAL:
            await self._jobs.final(job.id, wait_seconds)
            job = await self._current(job.id, caller)
        headers = {} if job.status in FINAL else {"Retry-After": _POLL_SECONDS}
        return Answer(200, job_body(job, self._link_expiry(job.expires_at)), headers)

    async def cleanup_create(self, arguments: Arguments, caller: Caller) -> Answer:
        dry_run = arguments.get("dry_run", False)
        deleted: list[str] = []
        freed = 0
        for each in arguments["ids"]:
            found = self._deletable(each, caller)
            if found is not None:
                deleted.append(each)
                freed += self._bytes_of(found) if dry_run else await self._drop(found)
        if not dry_run:
            self._state.truncate_log()
        body = {
            "cleanup_id": _new_id("cln"),
            "deleted": deleted,
            "not_found": [each for each in arguments["ids"] if each not in deleted],
            "bytes_freed": freed,
            "dry_run": dry_run,
        }
        return Answer(200, body, {})

    async def quota_get(self, arguments: Arguments, caller: Caller) -> Answer:
        return Answer(200, {"org": caller.organisation, "policies": self.quota.report(caller.organisation)}, {})

    def _key(self, operation: Operation, path: str, arguments: Arguments, caller: Caller) -> Key | None:
        text = arguments.get("idempotency_key")
        if text is None:
            return None
        payload = {name: value for name, value in arguments.items() if name != "idempotency_key"}
        print_ = fingerprint(operation.method, path, payload)
        return Key(caller.organisation, operation.name, text, print_)

    def _signed(self, answer: Answer) -> Answer:
        return Answer(answer.status, signed(answer.body, self._store.link), answer.headers)

    def _check_usable(self, upload_id: str, caller: Caller) -> None:
        upload = self._state.upload(upload_id)
        if upload is None or upload.organisation != caller.organisation:
            raise Problem(404, "not_found", "No such upload", detail="start one with uploads_init")
        if upload.gone or upload.expires_at <= self._clock():
            raise Problem(409, "upload_gone", "The upload has expired or was deleted", detail="upload the file again")
        if self._store.path(upload.object_id) is None:
            raise Problem(409, "upload_not_ready", "The upload has no bytes yet", detail="write the file first")

    async def _current(self, job_id: str, caller: Caller) -> Job:
        """The job as it is now; one that is due expires here, not at the next sweep."""
        job = self._state.job(job_id)
        if job is not None and job.expires_at <= self._clock() and job.status not in _GONE:
            await self._retention.drop_job(job, "expired")
            job = self._state.job(job_id)
        if job is None or job.organisation != caller.organisation:
            raise Problem(404, "not_found", "No such job", detail="it never was, or it expired long ago")
        return job

    def _deletable(self, resource_id: str, caller: Caller) -> Upload | Job | None:
        found = self._state.upload(resource_id) or self._state.job(resource_id)
        if found is None or found.organisation != caller.organisation:
            return None
        gone = found.gone if isinstance(found, Upload) else found.status in _GONE
        return None if gone else found

    def _bytes_of(self, found: Upload | Job) -> int:
        object_id = found.object_id if isinstance(found, Upload) else (found.result or {}).get("object_id", "")
        path = self._store.path(object_id)
        return path.stat().st_size if path else 0

    async def _drop(self, found: Upload | Job) -> int:
        if isinstance(found, Upload):
            return await self._retention.drop_upload(found)
        return await self._retention.drop_job(found)

    def _ttl_seconds(self, arguments: Arguments) -> int:
        seconds: int = arguments.get("ttl_seconds", self._settings.default_ttl_seconds)
        return seconds

    def _link_expiry(self, expires_at: float) -> int:
        """No link outlives its file."""
        return int(min(self._clock() + self._settings.link_seconds, expires_at))


def _new_id(kind: str) -> str:
    """128 random bits."""
    return f"{kind}_{secrets.token_urlsafe(16)}"
