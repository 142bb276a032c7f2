"""Bytes behind handles: in and out of a cell through the broker, over real HTTP."""

import asyncio

import pytest

from kernel_ext.wire import Kind
from kernel_gateway.broker import Account


@pytest.fixture
def files(scene):
    return stored(scene)


def stored(scene, reading=None, writing=None):
    """The API hands out links to the same server's /blob; `reading` and `writing` answer there."""
    scene.blobs = {"/blob": b"\x00bytes"}

    def read(handler):
        handler.set_header("Content-Type", "image/png")
        handler.write(scene.blobs[handler.request.path])

    def write(handler):
        scene.blobs[handler.request.path] = handler.request.body
        handler.set_status(204)

    def respond(handler):
        if handler.request.path.startswith("/blob"):
            return (writing or write)(handler) if handler.request.method == "PUT" else (reading or read)(handler)
        link = f"{scene.server.url}/blob?sig=0123456789abcdef"
        if handler.request.method == "POST":
            handler.set_status(201)
            answer = {
                "upload_url": link,
                "method": "PUT",
                "headers": {"X-Signed": "abc"},
                "expires_at": "1970-01-01T00:20:00Z",
            }
        else:
            answer = {"results": [{"url": link, "url_expires_at": "1970-01-01T00:20:00Z", **scene.facts}]}
        handler.write(answer)
        return None

    scene.facts = {"size_bytes": 6}
    scene.server.respond = respond
    return scene


async def readable(scene):
    return (await scene.call("files_get", id="x"))["results"][0]["url"]["$blob"]["id"]


async def writable(scene, size=4):
    answer = await scene.call("files_create", content_type="image/png", size_bytes=size)
    return answer["upload_url"]["$blob"]["id"]


async def read(scene, handle, **options):
    return await scene.ask(Kind.READ, {"handle": handle}, **options)


async def write(scene, handle, data=b"data", **options):
    return await scene.ask(Kind.WRITE, {"handle": handle}, data, **options)


def put_requests(scene):
    return [request for request in scene.server.seen if request.method == "PUT"]


async def test_a_read_brings_the_bytes_as_often_as_asked(files):
    handle = await readable(files)
    for _ in range(2):
        reply = await read(files, handle)
        assert (reply.kind, reply.body) == (Kind.RESULT, b"\x00bytes")
        assert reply.head == {"value": {"content_type": "image/png", "size": 6}}
    event = files.events[-1]
    assert (event.kind, event.direction, event.bytes, event.status) == ("blob_moved", "read", 6, "ok")
    assert (event.session_id, event.subject, event.cell) == ("s1", "ada", 1)


async def test_a_write_puts_the_bytes_with_the_signed_headers_once(files):
    handle = await writable(files)
    reply = await write(files, handle)
    assert (reply.kind, reply.head) == (Kind.RESULT, {"value": {"size": 4}})
    (request,) = put_requests(files)
    assert request.body == b"data" and request.headers["X-Signed"] == "abc"
    assert request.headers["Content-Type"] == "image/png" and "Authorization" not in request.headers
    again = await write(files, handle)
    assert again.head["code"] == "not_found" and len(put_requests(files)) == 1
    assert [event.status for event in files.events[1:]] == ["ok", "not_found"]


@pytest.mark.parametrize("data", [b"", b"dat", b"datas"])
async def test_a_wrong_size_is_refused_and_leaves_the_handle_good(files, data):
    handle = await writable(files)
    assert (await write(files, handle, data)).head["code"] == "invalid"
    assert put_requests(files) == []
    assert (await write(files, handle)).kind is Kind.RESULT


async def test_two_writes_at_once_cannot_both_happen(files):
    handle = await writable(files)
    replies = await asyncio.gather(write(files, handle), write(files, handle))
    assert sorted(reply.kind for reply in replies) == [Kind.RESULT, Kind.ERROR] and len(put_requests(files)) == 1


async def test_a_write_that_may_have_arrived_spends_the_handle(scene):
    files = stored(scene, writing=lambda handler: handler.set_status(500))
    handle = await writable(files)
    assert (await write(files, handle)).head["code"] == "upstream"
    assert (await write(files, handle)).head["code"] == "not_found"


async def test_a_write_that_never_left_gives_the_handle_back(files):
    handle = await writable(files)
    real, files.upstream._transfer._resolve = files.upstream._transfer._resolve, unknown
    assert (await write(files, handle)).head["code"] == "upstream_unavailable"
    files.upstream._transfer._resolve = real
    assert (await write(files, handle)).kind is Kind.RESULT


async def unknown(host, port):
    raise OSError


@pytest.mark.parametrize("size", [5, 7])
async def test_a_blob_of_another_size_than_declared_never_enters(files, size):
    files.facts = {"size_bytes": size}
    reply = await read(files, await readable(files))
    assert reply.head["code"] in ("upstream_invalid", "too_large") and reply.body == b""
    assert files.events[-1].bytes == 0


@pytest.mark.parametrize(("size", "accepted"), [(6, True), (7, False)])
@pytest.mark.parametrize("declared", [True, False])
async def test_the_blob_cap_holds_at_both_sides(scene_with, size, accepted, declared):
    files = stored(await scene_with({"max_blob_bytes": 6}))
    files.blobs["/blob"] = b"x" * size
    files.facts = {"size_bytes": size} if declared else {}
    reply = await read(files, await readable(files))
    assert (reply.kind is Kind.RESULT) is accepted and (accepted or reply.head["code"] == "too_large")
    reply = await write(files, await writable(files, size), b"x" * size)
    assert (reply.kind is Kind.RESULT) is accepted and (accepted or reply.head["code"] == "too_large")


async def test_bytes_in_flight_are_capped_and_the_place_comes_back(scene_with):
    released = asyncio.Event()

    async def slow(handler):
        await released.wait()
        handler.write(b"\x00bytes")

    files = stored(await scene_with({"max_blob_bytes_in_flight": 11}), reading=slow)
    handle = await readable(files)
    first = asyncio.create_task(read(files, handle))
    while len(files.server.seen) < 2:
        await asyncio.sleep(0)
    second = await read(files, handle)
    assert second.head["code"] == "busy" and second.head["retry_after"]
    released.set()
    assert (await first).kind is Kind.RESULT
    assert (await read(files, handle)).kind is Kind.RESULT and files.account.flight.size == 0


async def test_of_many_writes_at_once_only_what_fits_in_flight_is_held_and_the_rest_is_refused_at_once(scene_with):
    """64 is what a kernel may ask at once: sent on together, 64 of the largest blobs would be over 3 GB."""
    released = asyncio.Event()

    async def slow(handler):
        await released.wait()
        handler.set_status(204)

    limits = {"max_blob_bytes": 100, "max_blob_bytes_in_flight": 300, "max_calls_per_cell": 100}
    limits["budgets"] = {"execution": {"writes": 100}}
    files = stored(await scene_with(limits), writing=slow)
    handles = [await writable(files, 100) for _ in range(64)]
    tasks = [asyncio.create_task(write(files, handle, b"x" * 100)) for handle in handles]
    while len(put_requests(files)) < 3:
        await asyncio.sleep(0)
    held = [task for task in tasks if not task.done()]
    assert (len(held), files.account.flight.size, files.account.flight.messages) == (3, 300, 3)
    assert {task.result().head["code"] for task in tasks if task.done()} == {"busy"}
    released.set()
    assert {reply.kind for reply in await asyncio.gather(*held)} == {Kind.RESULT}
    assert (await write(files, handles[-1], b"x" * 100)).kind is Kind.RESULT  # busy spends no handle
    assert (files.account.flight.size, len(put_requests(files))) == (0, 4)


@pytest.mark.parametrize(("stalls", "code"), [(True, "deadline"), (False, None)])
async def test_a_stalled_transfer_meets_the_deadline_and_a_slow_one_within_it_does_not(scene_with, stalls, code):
    released = asyncio.Event()
    if not stalls:
        released.set()

    async def slow(handler):
        await released.wait()
        handler.write(b"\x00bytes")

    seconds = 0.05 if stalls else 60.0
    files = stored(await scene_with({"transfer_timeout_seconds": seconds}), reading=slow, writing=slow)
    reading, writing = await readable(files), await writable(files)
    assert (await read(files, reading)).head.get("code") == code
    assert (await write(files, writing)).head.get("code") == code
    released.set()
    assert files.account.flight.size == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((400, "invalid"), (403, "not_found"), (404, "not_found"), (409, "conflict"), (410, "not_found")),
        *((413, "too_large"), (415, "invalid"), (422, "invalid"), (429, "limited"), (500, "upstream")),
    ],
)
async def test_refused_bytes_are_told_as_the_storage_tells_it(scene, status, code):
    def refuse(handler):
        handler.set_status(status)
        handler.set_header("Content-Type", "application/problem+json")
        handler.write({"title": "No", "detail": f"the bytes are not image/png, see {files.server.url}/blob?sig=abcd"})

    files = stored(scene, writing=refuse)
    reply = await write(files, await writable(files))
    assert (reply.head["code"], files.events[-1].status) == (code, code)
    assert f"answered {status}" in reply.head["message"] and "the bytes are not image/png" in reply.head["message"]
    assert files.server.host not in reply.head["message"] and "abcd" not in reply.head["message"]
    assert ("retry_after" in reply.head) == (code == "limited")


async def test_another_session_cannot_use_the_handle(files):
    handle = await readable(files)
    for account in (Account("s2", "acme"), Account("s1", "globex")):
        assert (await read(files, handle, account=account)).head["code"] == "not_found"


async def test_the_wrong_direction_is_invalid(files):
    assert (await write(files, await readable(files))).head["code"] == "invalid"
    assert (await read(files, await writable(files))).head["code"] == "invalid"


@pytest.mark.parametrize("handle", ["", "x" * 10_000, None, 7, {"id": "x"}])
async def test_what_is_no_handle_is_refused(files, handle):
    assert (await read(files, handle)).head["code"] in ("not_found", "invalid")


async def test_a_handle_lives_as_long_as_its_link(files):
    handle = await readable(files)
    files.now = 1199.9
    assert (await read(files, handle)).kind is Kind.RESULT
    files.now = 1200.0
    assert (await read(files, handle)).head["code"] == "not_found"


async def test_a_handle_needs_the_scope_of_the_operation_that_gave_it(files):
    handle = await readable(files)
    files.next_cell(scopes=frozenset({"files.write"}))
    refused = (await read(files, handle)).head
    assert refused["code"] == "denied" and "`files.read`" in refused["message"]
    files.next_cell()
    assert (await read(files, handle)).kind is Kind.RESULT


async def test_a_handle_needs_a_live_token(files):
    handle = await readable(files)
    files.next_cell(expires_at=files.now)
    assert (await read(files, handle)).head["code"] == "denied"


async def test_a_forgotten_session_loses_its_handles(files):
    handle = await readable(files)
    files.broker.forget_session("s1")
    assert (await read(files, handle)).head["code"] == "not_found"


async def test_no_event_and_no_message_holds_a_link(files):
    handle = await readable(files)
    files.blobs.clear()
    await read(files, handle)
    await read(files, handle + "x")
    assert (
        "sig" not in repr(files.events)
        and handle not in repr(files.events)
        and files.server.host not in repr(files.events)
    )


async def test_links_are_registered_so_that_logs_cannot_show_them(files):
    await readable(files)
    link = f"{files.server.url}/blob?sig=0123456789abcdef"
    assert "0123456789abcdef" not in files.redactor.redact(f"oops {link} and {link.replace('/', '%2F')}")
