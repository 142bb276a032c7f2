"""Runs jobs: a few workers, each waiting for one pipeline process at a time. Jobs outlive a restart of the service."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.image_ops.rules import watermark_ids
from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.image_ops.state import FINAL, Job, State
from kernel_gateway.reference.object_store import ObjectStore, Slot

logger = logging.getLogger(__name__)


class Jobs:
    def __init__(
        self, state: State, store: ObjectStore, settings: ImageOpsSettings, clock: Callable[[], float]
    ) -> None:
        self._state, self._store, self._settings, self._clock = state, store, settings, clock
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Takes up what an earlier process left queued or half done."""
        for job in self._state.jobs_in("queued", "processing"):
            self._queue.put_nowait(job.id)
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._settings.workers)]

    def submit(self, job: Job) -> None:
        self._state.add_job(job)
        self._queue.put_nowait(job.id)

    async def end(self, job_id: str, status: str) -> None:
        """Makes a job that is not final `canceled` or `expired`; its process is gone when this returns."""
        self._state.finish_job(job_id, status, self._clock())
        task = self._running.get(job_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._announce(job_id)

    async def final(self, job_id: str, seconds: float) -> None:
        """Returns once the job is final, at the latest after so many seconds. Asks the database nothing meanwhile."""
        event = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            events = self._waiting.get(job_id, set())
            events.discard(event)
            if not events:
                self._waiting.pop(job_id, None)

    async def stop(self) -> None:
        """Kills the running processes; their jobs start again with the service."""
        tasks = [*self._workers, *self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for job_id in list(self._waiting):
            self._announce(job_id)

    async def _work(self) -> None:
        while True:
            job = self._state.job(await self._queue.get())
            if job is None or job.status in FINAL:
                continue
            self._state.start_job(job.id, self._clock())
            task = self._running[job.id] = asyncio.create_task(self._process(job))
            await asyncio.wait({task})
            del self._running[job.id]
            self._announce(job.id)

    async def _process(self, job: Job) -> None:
        scratch = self._store.scratch()
        try:
            source, declared = self._source(job.upload_id)
            operations = job.operations or []
            watermarks = {upload_id: self._source(upload_id)[0] for upload_id in watermark_ids(operations)}
            limits = self._settings.pipeline
            image = await pipeline.run(
                source, scratch, operations, watermarks=watermarks, limits=limits, declared_type=declared
            )
            self._succeed(job, image, scratch)
        except pipeline.PipelineRefused as refused:
            self._fail(job, refused.code, refused.message)
        except _UploadGoneError:
            self._fail(job, "upload_gone", "the upload was deleted before the job could read it")
        except Exception as error:  # a crash: its text stays inside
            logger.error("a job crashed with %s", type(error).__name__)
            self._fail(job, "internal", "the job crashed")
        finally:
            scratch.unlink(missing_ok=True)

    def _source(self, upload_id: str) -> tuple[Path, str]:
        """The file of an upload, and the content type that was declared for it."""
        upload = self._state.upload(upload_id)
        path = self._store.path(upload.object_id) if upload else None
        slot = self._store.slot(upload.object_id) if upload else None
        if path is None or slot is None:
            raise _UploadGoneError
        return path, slot.content_type

    def _still_runs(self, job: Job) -> bool:
        """Not after `end`: what a killed process still brings is dropped."""
        now = self._state.job(job.id)
        return now is not None and now.status == "processing"

    def _succeed(self, job: Job, image: pipeline.ProcessedImage, scratch: Path) -> None:
        if not self._still_runs(job):
            return
        result: dict[str, Any] = {
            "content_type": image.content_type,
            "width": image.width,
            "height": image.height,
            "size_bytes": image.size_bytes,
            "sha256": image.sha256,
        }
        result["object_id"] = self._store.adopt(scratch, Slot(image.content_type, image.size_bytes, image.sha256))
        self._state.finish_job(job.id, "succeeded", self._clock(), result=result)

    def _fail(self, job: Job, code: str, message: str) -> None:
        if not self._still_runs(job):
            return
        status = 500 if code == "internal" else 422
        title = "The image could not be processed"
        kind = f"urn:image-ops:problem:{code}"
        error = {"type": kind, "title": title, "status": status, "code": code, "detail": message}
        self._state.finish_job(job.id, "failed", self._clock(), error=error)

    def _announce(self, job_id: str) -> None:
        for event in self._waiting.get(job_id, ()):
            event.set()


class _UploadGoneError(Exception):
    """The bytes of an upload are not there any more."""
