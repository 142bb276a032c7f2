"""Deletes: what has expired, what a caller cleans up, what nobody owns. Files are unlinked, rows overwritten."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from kernel_gateway.reference.image_ops.jobs import Jobs
from kernel_gateway.reference.image_ops.rules import watermark_ids
from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.image_ops.state import FINAL, Job, State, Upload
from kernel_gateway.reference.object_store import ObjectStore

logger = logging.getLogger(__name__)


class Retention:
    def __init__(
        self,
        state: State,
        store: ObjectStore,
        jobs: Jobs,
        settings: ImageOpsSettings,
        clock: Callable[[], float],
        forget: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`forget` are the parts that keep rows of their own, to be asked at every sweep."""
        self._state, self._store, self._jobs = state, store, jobs
        self._settings, self._clock, self._forget = settings, clock, forget

    async def run(self) -> None:
        """Sweeps for ever."""
        while True:
            try:
                await self.sweep()
            except Exception as error:  # one bad sweep must not end all later ones
                logger.error("a sweep failed with %s", type(error).__name__)
            await asyncio.sleep(self._settings.sweep_interval_seconds)

    async def sweep(self) -> None:
        """Expires what is due; forgets the rows of what has been gone for long enough."""
        now = self._clock()
        for job in self._state.jobs_to_expire(now):
            await self.drop_job(job, "expired")
        for upload in self._state.uploads_to_expire(now):
            await self.drop_upload(upload, "expired")
        oldest = now - self._settings.tombstone_seconds
        self._state.run("delete from jobs where expires_at <= ? and status in ('expired', 'canceled')", oldest)
        self._state.run("delete from uploads where expires_at <= ? and gone = 1", oldest)
        self._state.run("delete from calls where at <= ?", now - self._settings.idempotency_seconds)
        for forget in self._forget:
            forget()
        self._state.truncate_log()

    async def drop_job(self, job: Job, status: str = "canceled") -> int:
        """Deletes a job's result and returns its bytes. One that runs is killed and gets `status`."""
        if job.status not in FINAL:
            await self._jobs.end(job.id, status)
            return 0
        freed = self._store.delete(job.result["object_id"]) if job.result else 0
        self._state.finish_job(job.id, "expired", self._clock())
        return freed

    async def drop_upload(self, upload: Upload, status: str = "canceled") -> int:
        """Deletes an upload's bytes and returns how many. Jobs that need it and are not final get `status`."""
        self._state.run("update uploads set gone = 1 where id = ?", upload.id)
        for job in self._state.jobs_in("queued", "processing"):
            if upload.id in (job.upload_id, *watermark_ids(job.operations or [])):
                await self._jobs.end(job.id, status)
        return self._store.delete(upload.object_id)

    def drop_orphans(self) -> None:
        """Files that no row knows: of a process that died between the two."""
        owned = {row["object_id"] for row in self._state.rows("select object_id from uploads where gone = 0")}
        owned |= {job.result["object_id"] for job in self._state.jobs_in("succeeded") if job.result}
        for object_id in self._store.ids() - owned:
            self._store.delete(object_id)
