"""The stand-in world as a whole: where it listens, what it keeps, and that it serves exactly its document."""

import asyncio
import base64
import socket
import warnings

import jsonschema_rs
import pytest
from tornado.web import Application

from catalog import Catalog
from catalog.document import read
from kernel_gateway.reference.image_ops import routes
from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.object_store import Slot
from kernel_gateway.reference.world import (
    _SPEC,
    FolderInUseError,
    Ports,
    ReferenceWorldWarning,
    World,
    image_ops_catalog,
)

CATALOG = image_ops_catalog()
ANSWERS = {
    each.name: jsonschema_rs.validator_for(dict(each.answer), validate_formats=True) for each in CATALOG.operations
}


def documented(name: str, answer) -> dict:
    """The answer's body, once it has been checked against the document."""
    operation = CATALOG.get(f"image_ops:{name}")
    assert answer.status_code in operation.answer_statuses
    ANSWERS[name].validate(answer.json())
    return answer.json()


async def test_building_one_warns(tmp_path):
    with pytest.warns(ReferenceWorldWarning, match="never let it serve real users"):
        world = World(tmp_path)
    await world.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost", ""])
def test_it_listens_on_loopback_and_nowhere_else(tmp_path, host):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        with pytest.raises(ValueError, match="loopback only"):
            World(tmp_path / "world", host=host)
    assert not (tmp_path / "world").exists()


async def test_a_taken_port_is_an_error_and_leaves_no_socket_behind(start, tmp_path):
    client = await start()
    taken = int(client.world.storage_host.partition(":")[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        with pytest.raises(OSError, match="in use"):
            World(tmp_path / "second", ports=Ports(storage=taken))


async def test_a_folder_has_one_world_at_a_time(start, png, tmp_path):
    client = await start()
    unfinished = client.world.storage_folder / "partial" / "x"
    unfinished.write_bytes(b"half")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        with pytest.raises(FolderInUseError, match=r"a running reference world has the folder .* name another"):
            World(tmp_path / "world")
    assert unfinished.read_bytes() == b"half"
    assert (await client.finished((await client.job(await client.upload(png)))["job_id"]))["status"] == "succeeded"
    await client.world.stop()
    assert (await (await start()).send("GET", "/api/quota")).status_code == 200


async def test_a_world_that_is_refused_leaves_no_socket_behind(start, tmp_path):
    client = await start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReferenceWorldWarning)
            with pytest.raises(FolderInUseError):
                World(tmp_path / "world", ports=Ports(storage=port))
    assert client.world.storage_host


async def test_every_answer_of_a_whole_flow_is_the_documented_one(start, png):
    client = await start()
    head = {"Idempotency_Key": "upload-1"}
    body = {"content_type": "image/png", "size_bytes": len(png), "filename": "cat.png"}
    upload = documented("uploads_init", await client.send("POST", "/api/uploads/init", body, **head))
    stored = await client.http.put(upload["upload_url"], content=png, headers=upload["headers"])
    assert stored.status_code == 204
    work = {"upload_id": upload["upload_id"], "operations": [{"op": "resize", "width": 20}]}
    job = documented("jobs_create", await client.send("POST", "/api/jobs", work))
    path = f"/api/jobs/{job['job_id']}"
    documented("jobs_get", await client.send("GET", path))
    done = documented("jobs_get", await client.send("GET", f"{path}?wait=20"))
    assert done["status"] == "succeeded"
    broken = await client.job(await client.upload(png[: len(png) // 2]))
    failed = documented("jobs_get", await client.send("GET", f"/api/jobs/{broken['job_id']}?wait=20"))
    assert failed["status"] == "failed"
    documented("quota_get", await client.send("GET", "/api/quota"))
    cleaned = documented("cleanup_create", await client.cleanup(upload["upload_id"], job["job_id"]))
    assert cleaned["not_found"] == []
    assert documented("jobs_get", await client.send("GET", path))["status"] == "expired"


def test_every_documented_operation_is_served_and_nothing_else(tmp_path):
    """The table that the server is built from, against the paths of the document."""
    document = read(_SPEC)
    written = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    assert {(each.path, each.method) for each in CATALOG.operations} == written
    patterns = {routes.pattern(path) for path in document["paths"]}
    assert patterns == {"/api/uploads/init", "/api/jobs", "/api/jobs/(?P<id>[^/]+)", "/api/cleanup", "/api/quota"}


async def test_every_route_that_answers_is_an_operation(start):
    client = await start()
    known = {(each.method, each.path) for each in CATALOG.operations}
    for path in ("/api/uploads/init", "/api/jobs", "/api/jobs/{id}", "/api/cleanup", "/api/quota", "/api", "/"):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            answer = await client.send(method, path.replace("{id}", "job_unknown123"), {})
            served = answer.status_code not in (404, 405) or (method, path) == ("GET", "/api/jobs/{id}")
            assert served is ((method, path) in known), (method, path, answer.status_code)


def test_a_document_with_another_operation_is_not_served(start):
    partial = Catalog(CATALOG.operations[:4])

    class Known:
        endpoints = dict.fromkeys(each.name for each in CATALOG.operations)

    with pytest.raises(ValueError, match=CATALOG.operations[4].name):
        routes.application(partial, Known(), None, None, 1)
    assert isinstance(routes.application(CATALOG, Known(), None, None, 1), Application)


async def test_problems_are_documented_too(start):
    client = await start()
    schema = read(_SPEC)["components"]["schemas"]["Problem"]
    check = jsonschema_rs.validator_for(schema)
    for method, path, body in [("GET", "/api/jobs/x", None), ("POST", "/api/jobs", {}), ("PUT", "/api/jobs", {})]:
        check.validate((await client.send(method, path, body)).json())


async def test_state_keys_and_unfinished_jobs_survive_a_restart(start, png, tmp_path):
    client = await start(settings=ImageOpsSettings(workers=0))
    job = await client.job(await client.upload(png))
    secret = client.world.client_secret
    await client.world.stop()
    again = await start()
    assert again.world.client_secret == secret
    done = await again.finished(job["job_id"])
    assert done["status"] == "succeeded"
    assert (await again.http.get(done["results"][0]["url"])).status_code == 200


async def test_files_that_no_row_knows_are_deleted_at_the_start(start, png):
    client = await start()
    kept = await client.upload(png)
    client.world._store.reserve(Slot("image/png", 3))
    await client.world.stop()
    again = await start()
    assert len(list((again.world.storage_folder / "slots").iterdir())) == 1
    assert (await again.job(kept))["status"] == "queued"


async def test_only_the_storage_folder_ever_holds_the_image_and_no_file_a_link(start, png, tmp_path):
    client = await start()
    upload_id = await client.upload(png)
    done = await client.finished((await client.job(upload_id))["job_id"])
    link = done["results"][0]["url"]
    await client.send("GET", "/api/quota")

    def holding(*needles):
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return [path for path in files if any(needle in path.read_bytes() for needle in needles)]

    image = (png[40:80], base64.b64encode(png[39:81]))
    secrets = (link.encode(), link.split("sig=")[1].encode(), client.token().encode())
    assert all(client.world.storage_folder in path.parents for path in holding(*image))
    assert holding(*image)
    assert holding(*secrets) == []
    await client.cleanup(upload_id, done["job_id"])
    assert holding(*image) == []


async def test_stopping_does_not_wait_for_long_polls_or_jobs(start, large_png):
    client = await start()
    job = await client.job(await client.upload(large_png), {"op": "convert", "format": "avif"})
    waiting = asyncio.create_task(client.finished(job["job_id"]))
    await asyncio.sleep(0)
    await client.world.stop()
    await asyncio.gather(waiting, return_exceptions=True)
    assert list((client.world.storage_folder / "partial").iterdir()) == []
