"""What the image service takes as a request: the document's bounds, its words, and how a refusal looks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.reference.image_ops.arguments import Reader
from kernel_gateway.reference.image_ops.rules import filename_errors
from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.problems import Problem
from kernel_gateway.reference.world import image_ops_catalog

UPLOAD = {"content_type": "image/png", "size_bytes": 10}
JOB = {"upload_id": "upl_unknown123", "operations": [{"op": "strip_metadata"}]}


async def pointers(client, path, body):
    answer = await client.send("POST", path, body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (400, "invalid")
    return [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"size_bytes": 10}, ["#/content_type"]),
        (UPLOAD | {"content_type": "image/tiff"}, ["#/content_type"]),
        (UPLOAD | {"content_type": "image/svg+xml"}, ["#/content_type"]),
        (UPLOAD | {"size_bytes": 0}, ["#/size_bytes"]),
        (UPLOAD | {"size_bytes": 52428801}, ["#/size_bytes"]),
        (UPLOAD | {"size_bytes": "10"}, ["#/size_bytes"]),
        (UPLOAD | {"ttl_seconds": 59}, ["#/ttl_seconds"]),
        (UPLOAD | {"ttl_seconds": 86401}, ["#/ttl_seconds"]),
        (UPLOAD | {"colour": "red"}, ["#/colour"]),
        (UPLOAD | {"idempotency_key": "x"}, ["#/idempotency_key"]),
        (UPLOAD | {"filename": "a/b.png"}, ["#/filename"]),
        (UPLOAD | {"filename": "a.jpg"}, ["#/filename"]),
        (UPLOAD | {"filename": "a.pdf"}, ["#/filename"]),
        ([], ["#"]),
        ("text", ["#"]),
    ],
)
async def test_an_upload_outside_the_document_is_refused_where_it_is_wrong(start, body, expected):
    assert await pointers(await start(), "/api/uploads/init", body) == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([], "#/operations"),
        ([{"op": "strip_metadata"}] * 11, "#/operations"),
        ([{"op": "explode"}], "#/operations/0"),
        ([{"width": 3}], "#/operations/0"),
        ([{"op": "strip_metadata"}, {"op": "resize", "width": 0}], "#/operations/1/width"),
        ([{"op": "resize", "width": 16385}], "#/operations/0/width"),
        ([{"op": "resize"}], "#/operations/0"),
        ([{"op": "resize", "width": 10, "fit": "cover"}], "#/operations/0"),
        ([{"op": "crop", "width": 3}], "#/operations/0/height"),
        ([{"op": "convert", "format": "gif"}], "#/operations/0/format"),
        ([{"op": "compress"}], "#/operations/0"),
        ([{"op": "rotate", "degrees": 45}], "#/operations/0/degrees"),
        ([{"op": "watermark"}], "#/operations/0"),
        ([{"op": "watermark", "text": "x", "upload_id": "upl_unknown123"}], "#/operations/0"),
        ([{"op": "strip_metadata", "keep": 1}], "#/operations/0"),
    ],
)
async def test_a_wrong_operation_is_named_by_its_place(start, operations, expected):
    assert await pointers(await start(), "/api/jobs", JOB | {"operations": operations}) == [expected]


@pytest.mark.parametrize("wait", ["21", "-1", "x", "1.5", "", "1&wait=2", "1&other=1"])
async def test_a_wait_outside_0_to_20_is_refused(start, wait):
    client = await start()
    assert (await client.send("GET", f"/api/jobs/job_unknown123?wait={wait}")).status_code == 400


async def test_a_body_that_is_not_json_is_refused(start):
    client = await start()
    head = {"Authorization": f"Bearer {client.token()}"}
    url = f"{client.world.image_ops_url}/api/uploads/init"
    plain = await client.http.post(url, content=b"{}", headers=head | {"Content-Type": "text/plain"})
    assert (plain.status_code, plain.json()["code"]) == (415, "unsupported_media_type")
    for broken in (b"", b"{", b'{"size_bytes": NaN}', b"\xff", b"[" * 20_000):
        answer = await client.http.post(url, content=broken, headers=head | {"Content-Type": "application/json"})
        assert answer.status_code == 400, broken[:20]


@pytest.mark.parametrize("path", ["/api/uploads/init", "/api/jobs", "/api/cleanup"])
@pytest.mark.parametrize(
    "body", [{"filename": "\ud800.png", **UPLOAD}, JOB | {"operations": [{"op": "watermark", "text": "\udfff"}]},
             {"ids": ["\ud800"]}, {"\ud800": 1}]
)  # fmt: skip
async def test_half_a_character_is_refused_with_a_problem(start, path, body):
    client = await start()
    assert "\\ud" in json.dumps(body)  # as it goes over the wire
    head = {"Authorization": f"Bearer {client.token()}", "Content-Type": "application/json", "Idempotency-Key": "key-1"}
    answer = await client.http.post(f"{client.world.image_ops_url}{path}", content=json.dumps(body), headers=head)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize(("extra", "status"), [(0, 400), (1, 413), (5_000_000, 413)])
async def test_a_body_may_have_64_kib_and_no_byte_more(start, extra, status):
    client = await start()
    size = ImageOpsSettings().max_body_bytes + extra
    body = json.dumps({"colour": ""})
    body = json.dumps({"colour": "x" * (size - len(body))}).encode()
    assert len(body) == size
    head = {"Authorization": f"Bearer {client.token()}", "Content-Type": "application/json"}
    answer = await client.http.post(f"{client.world.image_ops_url}/api/uploads/init", content=body, headers=head)
    assert answer.status_code == status


async def test_a_chunked_body_over_the_limit_is_refused(start):
    client = await start()

    async def chunks():
        for _ in range(70):
            yield b"x" * 1024

    head = {"Authorization": f"Bearer {client.token()}", "Content-Type": "application/json"}
    url = f"{client.world.image_ops_url}/api/uploads/init"
    assert (await client.http.post(url, content=chunks(), headers=head)).status_code == 413


@pytest.mark.parametrize(("size", "status"), [(1000, 201), (1001, 413)])
async def test_a_file_may_have_as_many_bytes_as_configured(start, size, status):
    client = await start(settings=ImageOpsSettings(max_upload_bytes=1000))
    answer = await client.send("POST", "/api/uploads/init", UPLOAD | {"size_bytes": size})
    assert answer.status_code == status


async def test_other_methods_and_paths_are_problems_too(start):
    client = await start()
    wrong = await client.send("DELETE", "/api/quota")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET")
    missing = await client.send("GET", "/api/other")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["Content-Type"] == "application/problem+json"


async def test_a_refusal_does_not_repeat_what_was_sent(start):
    client = await start()
    secret = "ghp_" + "a" * 36
    answer = await client.send("POST", "/api/uploads/init", UPLOAD | {"content_type": secret, "filename": f"{secret}/"})
    assert answer.status_code == 400
    assert secret not in answer.text


@pytest.mark.parametrize(
    ("filename", "fits"),
    [
        ("cat.png", True),
        ("CAT.PNG", True),
        ("cat", True),
        ("cat.backup7", True),
        ("cat.jpeg", False),
        ("cat.webp", False),
        ("cat.svg", False),
        ("cat.html", False),
        (None, True),
    ],
)
def test_an_extension_must_not_contradict_the_content_type(filename, fits):
    assert (filename_errors(filename, "image/png") == []) is fits


READERS = [Reader(operation) for operation in image_ops_catalog().operations]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["op", "operations", "ids"]), inner),
    max_leaves=10,
)


@given(st.sampled_from(READERS), JSON)
def test_any_body_gives_arguments_or_a_refusal(reader, body):
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    try:
        arguments = reader.read({"id": "job_12345678"}, {}, headers, json.dumps(body).encode())
    except Problem as problem:
        assert problem.status == 400
        assert problem.body["errors"]
    else:
        assert set(arguments) <= {"id", "wait", "idempotency_key"} or isinstance(body, dict)
