"""Runs one job in a child process of its own, and leaves nothing else of it: no process, no half-written file."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kernel_gateway
from kernel_gateway.reference.pipeline.limits import PipelineLimits
from kernel_gateway.reference.pipeline.outcome import CODES, PipelineRefused, ProcessedImage

# Isolated mode (no environment, no user site, no current folder) also forgets how an editable install is found, so
# the child is told where this very package lives.
_ENTRY = (
    "import sys; sys.path.insert(0, sys.argv[1]); from kernel_gateway.reference.pipeline.worker import main; main()"
)
_ROOT = str(Path(kernel_gateway.__file__).resolve().parents[1])
_MAX_ANSWER_BYTES = 16 * 1024  # an answer has a few hundred; more is not from our worker's code


async def run(
    source: Path,
    destination: Path,
    operations: Sequence[Mapping[str, Any]],
    *,
    watermarks: Mapping[str, Path],
    limits: PipelineLimits,
    declared_type: str | None = None,
    filename: str | None = None,
) -> ProcessedImage:
    """Applies `operations` to `source` and puts the result at `destination`, whole or not at all.

    `watermarks` gives the file of each `upload_id` an operation names. `declared_type` is the content type the
    uploader declared, `filename` the name it gave; the bytes must agree with both. Raises PipelineRefused. Cancelling
    kills the child and leaves no file.
    """
    draft = _empty_file_beside(destination)
    try:
        job = {
            "source": str(source),
            "destination": str(draft),
            "operations": [dict(operation) for operation in operations],
            "watermarks": {upload_id: str(path) for upload_id, path in watermarks.items()},
            "limits": asdict(limits),
            "declared_type": declared_type,
            "filename": filename,
        }
        image = _image(await _answer(json.dumps(job).encode(), limits), draft)
        draft.replace(destination)
        return image
    finally:
        draft.unlink(missing_ok=True)


async def _answer(job: bytes, limits: PipelineLimits) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-X", "utf8", "-c", _ENTRY, _ROOT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # a decoder's complaints may quote the file
        env={},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.deadline_seconds):
            data = await _exchange(process, job)
            status = await process.wait()
    except TimeoutError:
        raise PipelineRefused(
            "deadline", f"the job took over {limits.deadline_seconds:g} seconds; send a smaller picture or fewer steps"
        ) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status != 0:
        raise _death(status, limits)
    try:
        answer = json.loads(data)
        assert isinstance(answer, dict)
        return answer
    except (ValueError, AssertionError):
        raise PipelineRefused("crashed", "the worker's answer cannot be read; the file is refused") from None


async def _exchange(process: asyncio.subprocess.Process, job: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it died before it read all; its status says why
        process.stdin.write(job)
        await process.stdin.drain()
        process.stdin.close()
    try:
        return (await process.stdout.readexactly(_MAX_ANSWER_BYTES))[:0]
    except asyncio.IncompleteReadError as complete:
        return complete.partial


def _image(answer: dict[str, Any], draft: Path) -> ProcessedImage:
    peak = int(answer["peak_memory_bytes"])
    if "refused" in answer:
        code, message = answer["refused"]
        raise PipelineRefused(code if code in CODES else "crashed", message, peak_memory_bytes=peak)
    image = ProcessedImage(**answer["image"], peak_memory_bytes=peak)
    if draft.stat().st_size != image.size_bytes:
        raise PipelineRefused("internal", "the output is not all there; try again", peak_memory_bytes=peak)
    return image


def _death(status: int, limits: PipelineLimits) -> PipelineRefused:
    if status == -signal.SIGXCPU:
        return PipelineRefused(
            "cpu_limit",
            f"the job took over {limits.cpu_seconds} seconds of work; send a smaller picture or fewer steps",
        )
    if status == -signal.SIGKILL:
        return PipelineRefused("out_of_memory", "the system stopped the job; resize the picture to fewer pixels first")
    if status < 0:
        return PipelineRefused("crashed", f"the image library broke on this file (signal {-status}); it is refused")
    return PipelineRefused("internal", f"the worker ended with status {status}; report the operations used")


def _empty_file_beside(destination: Path) -> Path:
    """In the destination's folder, so that the last step is a rename within one file system."""
    descriptor, name = tempfile.mkstemp(prefix=f".{destination.name}.", suffix=".part", dir=destination.parent)
    os.close(descriptor)
    return Path(name)
