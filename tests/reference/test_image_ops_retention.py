"""Temporary means temporary: what expires is deleted, in files and in rows."""

from kernel_gateway.reference.image_ops.settings import ImageOpsSettings


def stored(client):
    folder = client.world.storage_folder
    return [path for name in ("objects", "slots", "partial") for path in (folder / name).iterdir()]


async def test_files_are_deleted_at_the_sweep_after_their_time_and_not_before(start, clock, png):
    client = await start()
    job = await client.job(await client.upload(png))
    await client.finished(job["job_id"])
    clock.now += 3599
    await client.world.sweep()
    assert len(stored(client)) == 4  # two files, two slots
    clock.now += 1
    await client.world.sweep()
    assert stored(client) == []


async def test_a_job_is_expired_from_its_second_on_even_before_a_sweep(start, clock, png):
    client = await start()
    job = await client.job(await client.upload(png), ttl_seconds=60)
    done = await client.finished(job["job_id"])
    assert done["status"] == "succeeded"
    clock.now += 60
    gone = await client.finished(job["job_id"])
    assert (gone["status"], gone["results"]) == ("expired", [])
    assert (await client.http.get(done["results"][0]["url"])).status_code == 404


async def test_no_link_outlives_its_file(start, clock, png):
    client = await start()
    body = {"content_type": "image/png", "size_bytes": 9, "ttl_seconds": 60}
    upload = (await client.send("POST", "/api/uploads/init", body)).json()
    assert upload["upload_url_expires_at"] == upload["expires_at"]
    default = (await client.send("POST", "/api/uploads/init", body | {"ttl_seconds": 86400})).json()
    assert default["upload_url_expires_at"] < default["expires_at"]


async def test_an_expired_upload_takes_no_job(start, clock, png):
    client = await start()
    upload_id = await client.upload(png, ttl_seconds=60)
    clock.now += 60
    body = {"upload_id": upload_id, "operations": [{"op": "strip_metadata"}]}
    answer = await client.send("POST", "/api/jobs", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_gone")


async def test_a_job_that_still_waits_when_its_time_is_up_expires(start, clock, png):
    client = await start(settings=ImageOpsSettings(workers=0))
    job = await client.job(await client.upload(png), ttl_seconds=60)
    clock.now += 60
    await client.world.sweep()
    assert (await client.finished(job["job_id"]))["status"] == "expired"


async def test_the_row_of_an_expired_job_is_kept_an_hour_for_late_pollers(start, clock, png):
    client = await start()
    job = await client.job(await client.upload(png), ttl_seconds=60)
    await client.finished(job["job_id"])
    clock.now += 60 + 3599
    await client.world.sweep()
    assert (await client.finished(job["job_id"]))["status"] == "expired"
    clock.now += 1
    await client.world.sweep()
    assert (await client.send("GET", f"/api/jobs/{job['job_id']}")).status_code == 404


async def test_a_deleted_row_leaves_nothing_in_the_database(start, clock, png, tmp_path):
    client = await start(settings=ImageOpsSettings(workers=0))
    text = "a private remark " * 3
    job = await client.job(await client.upload(png), {"op": "watermark", "text": text})
    files = list((tmp_path / "world").glob("image_ops.sqlite*"))
    assert any(text.encode() in file.read_bytes() for file in files)
    await client.cleanup(job["job_id"])
    files = list((tmp_path / "world").glob("image_ops.sqlite*"))
    assert not any(text.encode() in file.read_bytes() for file in files)
