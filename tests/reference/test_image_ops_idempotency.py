"""One effect and one answer per organisation, operation and idempotency key."""

import sqlite3
from contextlib import closing

import pytest

from kernel_gateway.reference.image_ops.idempotency import Answer, Idempotency, Key
from kernel_gateway.reference.image_ops.state import State
from kernel_gateway.reference.problems import Problem

UPLOAD = {"content_type": "image/png", "size_bytes": 10}


async def init(client, key="k", **fields):
    return await client.send("POST", "/api/uploads/init", UPLOAD | fields, Idempotency_Key=key)


async def test_the_same_request_with_the_same_key_gets_the_same_answer(start):
    client = await start()
    first, second = await init(client), await init(client)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert [call.replayed for call in client.world.calls()] == [False, True]


async def test_a_replayed_link_is_signed_anew_with_the_current_key(start, clock):
    client = await start()
    first = (await init(client)).json()
    client.world.link_keys.rotate()
    second = (await init(client)).json()
    assert first["upload_id"] == second["upload_id"]
    assert first["upload_url"].split("sig=")[0] != second["upload_url"].split("sig=")[0]
    assert first["upload_url_expires_at"] == second["upload_url_expires_at"]


async def test_a_key_with_another_payload_is_refused(start):
    client = await start()
    await init(client)
    answer = await init(client, size_bytes=11)
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")


async def test_a_key_belongs_to_one_organisation_and_one_operation(start, other, png):
    client = await start()
    first = (await init(client)).json()
    second = await init(other(client, "beta"))
    assert second.status_code == 201
    assert second.json()["upload_id"] != first["upload_id"]
    cleaned = await client.cleanup(first["upload_id"], key="k")
    assert (cleaned.status_code, cleaned.json()["deleted"]) == (200, [first["upload_id"]])


async def test_cleanup_needs_a_key(start):
    client = await start()
    answer = await client.send("POST", "/api/cleanup", {"ids": ["upl_unknown123"]})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"pointer": "#/Idempotency-Key", "detail": "is required"}]


@pytest.mark.parametrize(("length", "status"), [(1, 201), (255, 201), (256, 400)])
async def test_a_key_has_1_to_255_characters(start, length, status):
    client = await start()
    assert (await init(client, key="k" * length)).status_code == status


async def test_without_a_key_every_request_counts(start):
    client = await start()
    ids = {(await client.send("POST", "/api/uploads/init", UPLOAD)).json()["upload_id"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_refusal_frees_its_key(start, png):
    client = await start()
    body = {"upload_id": "upl_unknown123", "operations": [{"op": "strip_metadata"}]}
    missing = await client.send("POST", "/api/jobs", body, Idempotency_Key="k")
    assert missing.status_code == 404
    body["upload_id"] = await client.upload(png)
    assert (await client.send("POST", "/api/jobs", body, Idempotency_Key="k")).status_code == 202


async def test_a_replayed_job_keeps_its_headers_and_creates_no_second(start, png):
    client = await start()
    body = {"upload_id": await client.upload(png), "operations": [{"op": "strip_metadata"}]}
    first = await client.send("POST", "/api/jobs", body, Idempotency_Key="k")
    second = await client.send("POST", "/api/jobs", body, Idempotency_Key="k")
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"] == f"/api/jobs/{first.json()['job_id']}"


async def test_a_key_is_forgotten_after_a_day(start, clock):
    client = await start()
    first = (await init(client)).json()["upload_id"]
    clock.now += 86399
    assert (await init(client)).json()["upload_id"] == first
    clock.now += 1
    assert (await init(client)).json()["upload_id"] != first


async def test_what_is_stored_for_a_replay_holds_no_link(start, png, tmp_path):
    client = await start()
    answer = await init(client)
    url = answer.json()["upload_url"]
    with closing(sqlite3.connect(tmp_path / "world" / "image_ops.sqlite")) as database:
        stored = database.execute("select body from idempotency").fetchall()
    assert "$link" in stored[0][0]
    assert not any(secret in stored[0][0] for secret in ("sig=", url, url.split("sig=")[1]))


KEY = Key("acme", "cleanup_create", "k", "f")


@pytest.fixture
def state(tmp_path):
    with closing(State(tmp_path / "state.sqlite")) as opened:
        yield opened


def test_a_key_in_flight_is_a_conflict_until_it_is_finished_or_released(state, clock):
    keys = Idempotency(state, clock, 60)
    assert keys.begin(KEY) is None
    with pytest.raises(Problem) as caught:
        keys.begin(KEY)
    assert (caught.value.status, caught.value.code) == (409, "in_flight")
    keys.release(KEY)
    assert keys.begin(KEY) is None
    answer = Answer(200, {"a": 1}, {"Location": "/x"})
    keys.finish(KEY, answer)
    assert keys.begin(KEY) == answer


def test_a_key_that_was_in_flight_when_the_process_died_is_free_again(state, clock):
    Idempotency(state, clock, 60).begin(KEY)
    assert Idempotency(state, clock, 60).begin(KEY) is None
