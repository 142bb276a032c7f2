"""What an organisation may use, and how it is told."""

import re

import pytest

from kernel_gateway.reference.image_ops.settings import ImageOpsSettings

UPLOAD = {"content_type": "image/png", "size_bytes": 1000}


def left(answer, name):
    return int(re.search(rf'"{name}";r=(\d+)', answer.headers["RateLimit"])[1])


def refused(answer, name):
    problem = answer.json()
    assert answer.status_code == 429, answer.text
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert (problem["code"], problem["violated-policies"]) == ("limited", [name])
    assert int(answer.headers["Retry-After"]) >= 1
    assert "RateLimit" in answer.headers
    assert "RateLimit-Policy" in answer.headers


async def test_requests_are_counted_per_minute(start, clock):
    client = await start(settings=ImageOpsSettings(requests_per_minute=3))
    assert [left(await client.send("GET", "/api/quota"), "requests") for _ in range(3)] == [2, 1, 0]
    answer = await client.send("GET", "/api/quota")
    refused(answer, "requests")
    clock.now += int(answer.headers["Retry-After"])
    assert (await client.send("GET", "/api/quota")).status_code == 200


async def test_organisations_do_not_share_a_quota(start, other):
    client = await start(settings=ImageOpsSettings(requests_per_minute=1))
    assert (await client.send("GET", "/api/quota")).status_code == 200
    assert (await client.send("GET", "/api/quota")).status_code == 429
    assert (await other(client, "beta").send("GET", "/api/quota")).status_code == 200


async def test_declared_bytes_are_counted_per_day(start, clock):
    client = await start(settings=ImageOpsSettings(bytes_per_day=2500))
    assert left(await client.send("POST", "/api/uploads/init", UPLOAD), "bytes") == 1500
    assert left(await client.send("POST", "/api/uploads/init", UPLOAD | {"size_bytes": 1500}), "bytes") == 0
    refused(await client.send("POST", "/api/uploads/init", UPLOAD | {"size_bytes": 1}), "bytes")
    clock.now += 86400
    assert (await client.send("POST", "/api/uploads/init", UPLOAD)).status_code == 201


async def test_a_replay_uses_no_bytes(start):
    client = await start(settings=ImageOpsSettings(bytes_per_day=1000))
    for _ in range(3):
        answer = await client.send("POST", "/api/uploads/init", UPLOAD, Idempotency_Key="k")
        assert answer.status_code == 201


async def test_images_are_counted_per_day(start, png):
    client = await start(settings=ImageOpsSettings(images_per_day=1))
    upload_id = await client.upload(png)
    await client.job(upload_id)
    body = {"upload_id": upload_id, "operations": [{"op": "strip_metadata"}]}
    refused(await client.send("POST", "/api/jobs", body), "images")


async def test_jobs_at_once_are_counted_until_they_end(start, png):
    client = await start(settings=ImageOpsSettings(workers=0, concurrent_jobs=2))
    upload_id = await client.upload(png)
    first, _ = await client.job(upload_id), await client.job(upload_id)
    body = {"upload_id": upload_id, "operations": [{"op": "strip_metadata"}]}
    refused(await client.send("POST", "/api/jobs", body), "jobs")
    await client.cleanup(first["job_id"])
    assert (await client.send("POST", "/api/jobs", body)).status_code == 202


async def test_a_refused_job_uses_nothing_of_the_other_policies(start, png):
    client = await start(settings=ImageOpsSettings(workers=0, concurrent_jobs=0, images_per_day=5))
    body = {"upload_id": await client.upload(png), "operations": [{"op": "strip_metadata"}]}
    assert left(await client.send("POST", "/api/jobs", body), "images") == 5


async def test_the_quota_operation_reports_every_policy(start, clock):
    client = await start()
    body = (await client.send("GET", "/api/quota")).json()
    assert body["org"] == "acme"
    policies = {policy["name"]: policy for policy in body["policies"]}
    assert set(policies) == {"requests", "bytes", "images", "jobs"}
    assert policies["requests"]["remaining"] == 599
    assert policies["jobs"]["resets_at"] is None
    assert policies["images"]["window_seconds"] == 86400


@pytest.mark.parametrize("path", ["/api/quota", "/api/jobs/job_unknown123", "/api/jobs/x"])
async def test_every_answer_carries_the_rate_limit_headers(start, path):
    answer = await (await start()).send("GET", path)
    assert answer.headers["RateLimit-Policy"].startswith('"requests";q=600;w=60, "bytes";q=')
    assert 'qu="content-bytes"' in answer.headers["RateLimit-Policy"]
    assert re.match(r'"requests";r=599;t=\d+', answer.headers["RateLimit"])
