"""The child process: confined, alone, and gone without a trace however the job ends."""

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kernel_gateway.reference import pipeline

LIMITS = pipeline.PipelineLimits()
GROW = {"op": "resize", "width": 6000, "height": 6000, "fit": "fill"}
SHRINK = {"op": "resize", "width": 5999, "height": 5999, "fit": "fill"}
TOIL = [GROW, SHRINK] * 5  # seconds of work from a small file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    Image.linear_gradient("L").convert("RGB").save(path, "PNG")
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def children() -> set[int]:
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in lists for pid in each.read_text().split()}


async def until(what: Callable[[], Any]) -> Any:
    async with asyncio.timeout(20):
        while not (value := what()):
            await asyncio.sleep(0)
    return value


async def begun(source: Path, destination: Path) -> tuple[asyncio.Task[pipeline.ProcessedImage], int]:
    """A job at work, and the process that works on it."""
    before = children()
    task = asyncio.create_task(pipeline.run(source, destination, TOIL, watermarks={}, limits=LIMITS))
    (pid,) = await until(lambda: children() - before)
    await until(lambda: b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return task, pid


async def test_the_result_says_what_is_at_the_destination(source, tmp_path):
    result = await pipeline.run(
        source, tmp_path / "out", [{"op": "convert", "format": "webp"}], watermarks={}, limits=LIMITS
    )
    data = (tmp_path / "out").read_bytes()
    assert (result.content_type, result.width, result.height) == ("image/webp", 256, 256)
    assert (result.size_bytes, result.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert names(tmp_path) == ["in", "out"]


async def test_an_earlier_file_is_replaced_whole_or_left_alone(source, tmp_path):
    destination = tmp_path / "out"
    destination.write_bytes(b"before")
    with pytest.raises(pipeline.PipelineRefused):
        await pipeline.run(source, destination, [], watermarks={}, limits=LIMITS)
    assert destination.read_bytes() == b"before"
    await pipeline.run(source, destination, [{"op": "rotate", "degrees": 90}], watermarks={}, limits=LIMITS)
    assert pipeline.sniff(destination.read_bytes()) == "image/png"


async def test_cancelling_kills_the_process_and_leaves_no_file(source, tmp_path):
    task, pid = await begun(source, tmp_path / "out")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not Path(f"/proc/{pid}").exists()
    assert names(tmp_path) == ["in"]


async def test_the_process_is_a_group_of_its_own_with_an_empty_environment(source, tmp_path):
    task, pid = await begun(source, tmp_path / "out")
    try:
        assert os.getsid(pid) == os.getpgid(pid) == pid
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("death", "code"),
    [(signal.SIGSEGV, "crashed"), (signal.SIGABRT, "crashed"), (signal.SIGKILL, "out_of_memory")],
)
async def test_a_process_that_dies_is_a_refusal_and_leaves_no_file(source, tmp_path, death, code):
    task, pid = await begun(source, tmp_path / "out")
    os.kill(pid, death)
    with pytest.raises(pipeline.PipelineRefused) as refused:
        await task
    assert refused.value.code == code
    assert names(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("limits", "operations", "code"),
    [
        (replace(LIMITS, deadline_seconds=0.3), TOIL, "deadline"),
        (replace(LIMITS, cpu_seconds=1), TOIL, "cpu_limit"),
        (replace(LIMITS, memory_bytes=240 * 1024 * 1024), TOIL, "out_of_memory"),
        (replace(LIMITS, memory_bytes=240 * 1024 * 1024), [GROW, {"op": "convert", "format": "jpeg"}], "out_of_memory"),
        (replace(LIMITS, max_output_bytes=100), [GROW], "output_too_large"),
        (LIMITS, [{"op": "blur"}], "invalid_operation"),
        (LIMITS, [{"op": "watermark", "upload_id": "upl_unknown"}], "invalid_operation"),
    ],
)
async def test_every_limit_is_a_refusal_with_its_own_code_and_leaves_no_file(
    source, tmp_path, limits, operations, code
):
    with pytest.raises(pipeline.PipelineRefused) as refused:
        await pipeline.run(source, tmp_path / "out", operations, watermarks={}, limits=limits)
    assert refused.value.code == code, refused.value.message
    assert names(tmp_path) == ["in"]


async def test_the_callers_environment_and_folder_do_not_reach_the_process(source, tmp_path, monkeypatch):
    trap = tmp_path / "trap"
    (trap / "PIL").mkdir(parents=True)
    (trap / "PIL" / "__init__.py").write_text("raise SystemExit(7)")
    monkeypatch.setenv("PYTHONPATH", str(trap))
    monkeypatch.chdir(trap)
    result = await pipeline.run(
        source, tmp_path / "out", [{"op": "rotate", "degrees": 90}], watermarks={}, limits=LIMITS
    )
    assert result.width == 256


async def test_jobs_side_by_side_do_not_disturb_each_other(source, tmp_path):
    results = await asyncio.gather(
        *(
            pipeline.run(
                source, tmp_path / f"out{width}", [{"op": "resize", "width": width}], watermarks={}, limits=LIMITS
            )
            for width in range(10, 14)
        )
    )
    assert [result.width for result in results] == [10, 11, 12, 13]


async def test_a_watermark_upload_is_laid_over_the_picture(source, tmp_path):
    logo = tmp_path / "logo"
    Image.new("RGB", (10, 10), (255, 0, 0)).save(logo, "WEBP", lossless=True)
    mark = {"op": "watermark", "upload_id": "upl_logo", "opacity": 1, "position": "center"}
    await pipeline.run(source, tmp_path / "out", [mark], watermarks={"upl_logo": logo}, limits=LIMITS)
    with Image.open(tmp_path / "out") as image:
        assert image.getpixel((128, 128)) == (255, 0, 0)


async def test_file_names_that_are_not_text_work(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9 \xf0\x9f\x93\xb7")
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "in", "PNG")
    result = await pipeline.run(
        folder / "in", folder / "out", [{"op": "rotate", "degrees": 90}], watermarks={}, limits=LIMITS
    )
    assert result.size_bytes == (folder / "out").stat().st_size


def test_a_refusal_shows_its_code_and_message():
    refused = pipeline.PipelineRefused("empty", "the file has 0 bytes")
    assert repr(refused) == "<PipelineRefused empty: the file has 0 bytes>"
