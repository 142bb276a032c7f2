"""Uploads through jobs to results, and what becomes of jobs that cannot or must not finish."""

import asyncio
import io

import pytest
from PIL import Image

from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.pipeline import PipelineLimits


async def processing(client, job_id):
    """Returns once a worker has taken the job."""
    while (await client.send("GET", f"/api/jobs/{job_id}")).json()["status"] == "queued":
        await asyncio.sleep(0)


def files(client, folder):
    return sorted(path for path in (client.world.storage_folder / folder).iterdir())


async def test_operations_run_in_order_on_the_uploaded_bytes(start, png):
    client = await start()
    upload_id = await client.upload(png, filename="cat.png")
    job = await client.job(
        upload_id,
        {"op": "resize", "width": 32},
        {"op": "rotate", "degrees": 90},
        {"op": "convert", "format": "webp"},
        {"op": "compress", "quality": 70},
        {"op": "strip_metadata"},
    )
    assert (job["status"], job["progress"], job["results"]) == ("queued", 0, [])
    done = await client.finished(job["job_id"])
    assert (done["status"], done["progress"], done["upload_id"]) == ("succeeded", 1, upload_id)
    result = done["results"][0]
    data = (await client.http.get(result["url"])).content
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("WEBP", (24, 32))
    assert (result["width"], result["height"], result["size_bytes"]) == (24, 32, len(data))


async def test_an_uploaded_image_can_be_a_watermark(start, png):
    client = await start()
    mark = await client.upload(png)
    job = await client.job(await client.upload(png), {"op": "watermark", "upload_id": mark, "opacity": 1})
    assert (await client.finished(job["job_id"]))["status"] == "succeeded"


async def test_a_job_on_an_upload_without_bytes_is_a_conflict(start, png):
    client = await start()
    upload = (await client.send("POST", "/api/uploads/init", {"content_type": "image/png", "size_bytes": 9})).json()
    body = {"upload_id": upload["upload_id"], "operations": [{"op": "strip_metadata"}]}
    answer = await client.send("POST", "/api/jobs", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_not_ready")


async def test_a_damaged_file_fails_its_job_with_a_code(start, png):
    client = await start()
    job = await client.job(await client.upload(png[: len(png) // 2]))
    done = await client.finished(job["job_id"])
    assert (done["status"], done["results"]) == ("failed", [])
    assert (done["error"]["status"], done["error"]["code"]) == (422, "damaged")
    assert files(client, "partial") == []


async def test_an_operation_that_does_not_fit_the_picture_fails_its_job(start, png):
    client = await start()
    job = await client.job(await client.upload(png), {"op": "crop", "width": 1000, "height": 10})
    assert (await client.finished(job["job_id"]))["error"]["code"] == "invalid_operation"


async def test_a_job_ends_at_its_deadline(start, large_png):
    client = await start(settings=ImageOpsSettings(pipeline=PipelineLimits(deadline_seconds=0.2)))
    job = await client.job(await client.upload(large_png), {"op": "convert", "format": "avif"})
    assert (await client.finished(job["job_id"]))["error"]["code"] == "deadline"


async def test_a_long_poll_answers_when_the_job_is_final(start, png):
    client = await start()
    job = await client.job(await client.upload(png))
    answers = await asyncio.gather(*(client.finished(job["job_id"]) for _ in range(5)))
    assert {answer["status"] for answer in answers} == {"succeeded"}


async def test_a_long_poll_ends_with_its_time_and_says_when_to_come_back(start, png):
    client = await start(settings=ImageOpsSettings(workers=0))
    job = await client.job(await client.upload(png))
    answer = await client.send("GET", f"/api/jobs/{job['job_id']}?wait=1")
    assert (answer.json()["status"], answer.headers["Retry-After"]) == ("queued", "1")


async def test_cleanup_deletes_files_and_a_replay_deletes_nothing_more(start, png):
    client = await start()
    upload_id = await client.upload(png)
    done = await client.finished((await client.job(upload_id))["job_id"])
    ids = [upload_id, done["job_id"]]
    link = done["results"][0]["url"]
    first, second = await client.cleanup(*ids), await client.cleanup(*ids)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert first.json()["deleted"] == ids
    assert first.json()["bytes_freed"] == len(png) + done["results"][0]["size_bytes"]
    assert [files(client, folder) for folder in ("objects", "slots", "partial")] == [[], [], []]
    assert (await client.http.get(link)).status_code == 404
    gone = await client.finished(done["job_id"])
    assert (gone["status"], gone["results"]) == ("expired", [])
    third = (await client.cleanup(*ids, key="key-2")).json()
    assert (third["deleted"], third["not_found"], third["bytes_freed"]) == ([], ids, 0)


async def test_a_dry_run_deletes_nothing(start, png):
    client = await start()
    upload_id = await client.upload(png)
    said = (await client.cleanup(upload_id, "job_unknown123", dry_run=True)).json()
    assert (said["deleted"], said["not_found"]) == ([upload_id], ["job_unknown123"])
    assert (said["bytes_freed"], said["dry_run"]) == (len(png), True)
    assert len(files(client, "objects")) == 1


async def test_a_deleted_upload_takes_no_job_and_no_bytes(start, png):
    client = await start()
    upload = (await client.send("POST", "/api/uploads/init", {"content_type": "image/png", "size_bytes": 9})).json()
    await client.cleanup(upload["upload_id"])
    assert (await client.http.put(upload["upload_url"], content=b"123456789")).status_code == 404
    body = {"upload_id": upload["upload_id"], "operations": [{"op": "strip_metadata"}]}
    answer = await client.send("POST", "/api/jobs", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_gone")


@pytest.mark.parametrize("named", ["job_id", "upload_id"])
async def test_cleanup_kills_a_running_job_which_becomes_canceled(start, large_png, named):
    client = await start()
    job = await client.job(await client.upload(large_png), {"op": "convert", "format": "avif"})
    await processing(client, job["job_id"])
    waiting = asyncio.create_task(client.finished(job["job_id"]))
    assert (await client.cleanup(job[named])).json()["deleted"] == [job[named]]
    assert (await waiting)["status"] == "canceled"
    assert files(client, "partial") == []
    assert len(files(client, "objects")) == (1 if named == "job_id" else 0)


async def test_cleanup_cancels_a_queued_job(start, png):
    client = await start(settings=ImageOpsSettings(workers=0))
    job = await client.job(await client.upload(png))
    await client.cleanup(job["job_id"])
    assert (await client.finished(job["job_id"]))["status"] == "canceled"
