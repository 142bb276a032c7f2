"""The child process: gives up resources, reads one job on stdin, writes one file and one line of JSON.

Job: {"source", "destination" (a file that exists), "operations", "watermarks": {upload id: path}, "limits",
"declared_type", "filename"}. Answer: {"image": {...}} or {"refused": [code, message]}, with "peak_memory_bytes".
"""

import hashlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from kernel_gateway.reference.pipeline.colour import normalise
from kernel_gateway.reference.pipeline.decode import Loaded, load
from kernel_gateway.reference.pipeline.edit import edit
from kernel_gateway.reference.pipeline.encode import encode
from kernel_gateway.reference.pipeline.limits import PipelineLimits
from kernel_gateway.reference.pipeline.operations import Watermark, output_of, parse_operations
from kernel_gateway.reference.pipeline.outcome import PipelineRefused


def main() -> None:
    job = json.load(sys.stdin.buffer)
    limits = PipelineLimits(**job["limits"])
    confine(limits)
    answer = answer_of(job, limits)
    answer["peak_memory_bytes"] = peak_memory_bytes()
    json.dump(answer, sys.stdout)


def confine(limits: PipelineLimits) -> None:
    """For good, but for the soft memory limit, which `work` raises to the hard one when the file has proved itself.
    RLIMIT_DATA counts what a process writes to; RLIMIT_AS would also count libraries and the stacks of idle threads.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (limits.decode_memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.max_output_bytes, limits.max_output_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.max_open_files, limits.max_open_files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer_of(job: dict[str, Any], limits: PipelineLimits) -> dict[str, Any]:
    try:
        return {"image": work(job, limits)}
    except PipelineRefused as refused:
        return {"refused": [refused.code, refused.message]}
    except MemoryError:
        message = "the job takes more memory than a job may; resize the picture to fewer pixels first"
        return {"refused": ["out_of_memory", message]}
    except Exception as error:  # our fault: its kind helps, its text could quote the file
        return {"refused": ["internal", f"the worker failed with {type(error).__name__}; report the operations used"]}


def work(job: dict[str, Any], limits: PipelineLimits) -> dict[str, Any]:
    operations = parse_operations(job["operations"])
    wanted = {each.upload_id for each in operations if isinstance(each, Watermark) and each.upload_id is not None}
    loaded_marks = {
        upload_id: load_mark(upload_id, Path(path), limits)
        for upload_id, path in job["watermarks"].items()
        if upload_id in wanted
    }
    loaded = load(Path(job["source"]), limits, declared_type=job["declared_type"], filename=job["filename"])
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    output = output_of(operations, loaded.content_type)
    marks = {upload_id: normalise(mark).pixels.convert("RGBA") for upload_id, mark in loaded_marks.items()}
    picture = normalise(loaded)
    del loaded, loaded_marks  # their pixels are a second copy by now
    edit(picture, operations, marks, limits)
    encoded = encode(picture, output, limits)
    write(job["destination"], encoded.data)
    return {
        "content_type": output.content_type,
        "width": encoded.width,
        "height": encoded.height,
        "size_bytes": len(encoded.data),
        "sha256": hashlib.sha256(encoded.data).hexdigest(),
    }


def load_mark(upload_id: str, path: Path, limits: PipelineLimits) -> Loaded:
    try:
        return load(path, limits, max_pixels=limits.max_watermark_pixels)
    except PipelineRefused as refused:
        raise PipelineRefused(refused.code, f"watermark `{upload_id}`: {refused.message}") from None


def write(destination: str, data: bytes) -> None:
    """Into the file the parent made. Never creates one: the parent may just have deleted it and killed us."""
    with os.fdopen(os.open(destination, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        file.write(data)


def peak_memory_bytes() -> int:
    """Largest resident size of this process image. Not ru_maxrss: that begins with the parent's size before exec."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
