"""Signed links and the files behind them, over HTTP."""

import asyncio
import hashlib
import logging
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest

from kernel_gateway.reference.object_store import ObjectStore, Slot
from kernel_gateway.reference.signed_links import RETIRED_KEY_SECONDS, Claim, LinkKeys


def changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    values = {name: values[0] for name, values in parse_qs(parts.query).items()} | query
    return urlunsplit(parts._replace(query=urlencode(values)))


async def slot(client, data: bytes, content_type: str = "image/png", **fields):
    body = {"content_type": content_type, "size_bytes": len(data), **fields}
    answer = await client.send("POST", "/api/uploads/init", body)
    assert answer.status_code == 201, answer.text
    return answer.json()["upload_url"]


async def put(client, url: str, data: bytes, content_type: str = "image/png"):
    return await client.http.put(url, content=data, headers={"Content-Type": content_type})


async def result(client, png):
    job = await client.job(await client.upload(png), {"op": "rotate", "degrees": 90})
    return (await client.finished(job["job_id"]))["results"][0]


def files(client):
    return [path for path in client.world.storage_folder.rglob("*") if path.is_file() and path.suffix != ".json"]


async def test_a_put_link_takes_the_bytes_once(start, png):
    client = await start()
    url = await slot(client, png)
    assert (await put(client, url, png)).status_code == 204
    again = await put(client, url, png)
    assert (again.status_code, again.json()["code"]) == (409, "already_written")


async def test_two_puts_at_once_store_one(start, png):
    client = await start()
    url = await slot(client, png)
    answers = await asyncio.gather(*(put(client, url, png) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 409, 409, 409]
    assert [path.read_bytes() for path in files(client)] == [png]


@pytest.mark.parametrize(
    "change", [{"exp": "1900000000"}, {"op": "get"}, {"sig": "AAAA"}, {"kid": "00000000"}, {"exp": "x"}]
)
async def test_a_link_that_was_changed_is_refused(start, png, change):
    client = await start()
    url = await slot(client, png)
    answer = await put(client, changed(url, **change), png)
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_link")
    assert files(client) == []


async def test_a_signature_for_one_file_does_not_open_another(start, png):
    client = await start()
    first, second = await slot(client, png), await slot(client, png)
    mixed = urlunsplit(urlsplit(second)._replace(query=urlsplit(first).query))
    assert (await put(client, mixed, png)).status_code == 403


async def test_a_put_link_does_not_read(start, png):
    client = await start()
    url = await slot(client, png)
    await put(client, url, png)
    assert (await client.http.get(url)).status_code == 403
    assert (await client.http.get(changed(url, op="get"))).status_code == 403


async def test_a_link_works_until_its_second_and_not_at_it(start, png, clock):
    client = await start()
    url, late = await slot(client, png), await slot(client, png)
    expires_at = int(parse_qs(urlsplit(url).query)["exp"][0])
    clock.now = expires_at - 1
    assert (await put(client, url, png)).status_code == 204
    clock.now = expires_at
    answer = await put(client, late, png)
    assert (answer.status_code, answer.json()["code"]) == (410, "expired_link")


async def test_an_unknown_file_is_not_found(start, png):
    client = await start()
    url = await slot(client, png)
    parts = urlsplit(url)
    for path in ("/files/AAAAAAAAAAAAAAAAAAAAAA", "/files/..%2fkeys", "/other", "/files/x.json"):
        assert (await put(client, urlunsplit(parts._replace(path=path)), png)).status_code == 404


async def test_a_body_without_a_length_is_refused(start, png):
    client = await start()
    url = await slot(client, png)

    async def chunks():
        yield png

    answer = await client.http.put(url, content=chunks(), headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize(("extra", "status"), [(1, 413), (-1, 400), (1_000_000, 413)])
async def test_a_body_of_another_size_is_refused(start, png, extra, status):
    client = await start()
    url = await slot(client, png)
    answer = await put(client, url, (png + bytes(max(extra, 0)))[: len(png) + extra])
    assert answer.status_code == status
    assert (await put(client, url, png)).status_code == 204  # the refusal did not use the link


async def test_another_content_type_than_declared_is_refused(start, png):
    client = await start()
    url = await slot(client, png)
    assert (await put(client, url, png, "image/jpeg")).status_code == 415


async def test_bytes_that_are_not_what_the_type_says_are_refused_and_leave_nothing(start):
    client = await start()
    lie = b"<svg onload=alert(1)>" + bytes(100)
    answer = await put(client, await slot(client, lie), lie)
    assert (answer.status_code, answer.json()["code"]) == (415, "content_mismatch")
    assert files(client) == []


async def test_bytes_with_another_digest_than_declared_are_refused(start, png):
    client = await start()
    url = await slot(client, png, checksum_sha256=hashlib.sha256(b"other").hexdigest())
    answer = await put(client, url, png)
    assert (answer.status_code, answer.json()["code"]) == (422, "checksum_mismatch")
    good = await slot(client, png, checksum_sha256=hashlib.sha256(png).hexdigest())
    assert (await put(client, good, png)).status_code == 204


async def test_an_upload_that_breaks_off_leaves_no_bytes_and_may_be_tried_again(start, png):
    client = await start()
    url = await slot(client, png)
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = ["Host: x", "Content-Type: image/png", f"Content-Length: {len(png)}", "Expect: 100-continue", "", ""]
    writer.write("\r\n".join([f"PUT {parts.path}?{parts.query} HTTP/1.1", *lines]).encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(png[:50])
    await writer.drain()
    assert len(files(client)) == 1
    writer.close()
    await writer.wait_closed()
    while files(client):
        await asyncio.sleep(0)
    assert (await put(client, url, png)).status_code == 204


async def test_a_result_is_served_as_a_download_that_no_browser_runs(start, png):
    client = await start()
    described = await result(client, png)
    answer = await client.http.get(described["url"])
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == described["sha256"]
    assert answer.headers["Content-Type"] == described["content_type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="image.png"'
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await client.http.get(described["url"])).content == answer.content
    assert (await put(client, described["url"], png)).status_code == 403


async def test_rotating_the_key_keeps_old_links_alive_and_signs_with_the_new_one(start, png):
    client = await start()
    before = await slot(client, png)
    client.world.link_keys.rotate()
    after = await slot(client, png)
    assert parse_qs(urlsplit(before).query)["kid"] != parse_qs(urlsplit(after).query)["kid"]
    assert (await put(client, before, png)).status_code == 204
    assert (await put(client, after, png)).status_code == 204


def test_a_retired_key_verifies_for_a_day_and_no_longer(tmp_path, clock):
    keys = LinkKeys(tmp_path / "keys.json", clock)
    claim = Claim("get", "AAAAAAAAAAAAAAAAAAAAAA", 1, "image/png", 1)
    kid, signature = keys.sign(claim)
    keys.rotate()
    clock.now += RETIRED_KEY_SECONDS - 1
    assert keys.verifies(kid, signature, claim)
    assert LinkKeys(tmp_path / "keys.json", clock).verifies(kid, signature, claim)
    clock.now += 1
    assert not keys.verifies(kid, signature, claim)


def test_a_signature_covers_every_part_of_the_claim(tmp_path, clock):
    keys = LinkKeys(tmp_path / "keys.json", clock)
    claim = Claim("put", "A" * 22, 100, "image/png", 7)
    kid, signature = keys.sign(claim)
    assert keys.verifies(kid, signature, claim)
    others = [
        Claim("get", "A" * 22, 100, "image/png", 7),
        Claim("put", "B" * 22, 100, "image/png", 7),
        Claim("put", "A" * 22, 101, "image/png", 7),
        Claim("put", "A" * 22, 100, "image/jpeg", 7),
        Claim("put", "A" * 22, 100, "image/png", 8),
    ]
    assert not any(keys.verifies(kid, signature, other) for other in others)


def test_deleting_leaves_no_file_and_reports_the_bytes(tmp_path, clock):
    store = ObjectStore(tmp_path, LinkKeys(tmp_path / "keys.json", clock), "http://127.0.0.1", clock)
    whole, begun, empty = (store.reserve(Slot("image/png", 3)) for _ in range(3))
    done, half = store.begin(whole), store.begin(begun)
    assert done is not None
    assert half is not None
    done.write(b"abc")
    half.write(b"ab")
    assert done.commit()
    assert [store.delete(each) for each in (whole, begun, empty, "../keys.json")] == [3, 0, 0, 0]
    assert not half.commit()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["keys.json"]


def test_what_a_dead_process_left_half_written_is_removed(tmp_path, clock):
    keys = LinkKeys(tmp_path / "keys.json", clock)
    store = ObjectStore(tmp_path, keys, "http://127.0.0.1", clock)
    begun = store.begin(store.reserve(Slot("image/png", 3)))
    assert begun is not None
    begun.write(b"ab")
    begun._file.close()
    ObjectStore(tmp_path, keys, "http://127.0.0.1", clock)
    assert list((tmp_path / "partial").iterdir()) == []


async def test_no_log_line_holds_a_link(start, png, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx2").setLevel(logging.CRITICAL)
    logging.getLogger("httpcore2").setLevel(logging.CRITICAL)
    client = await start()
    url = await slot(client, png)
    await put(client, changed(url, sig="AAAA"), png)
    await put(client, url, png)
    await put(client, url, png)
    text = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert "sig=" not in text
    assert "/files/" not in text
