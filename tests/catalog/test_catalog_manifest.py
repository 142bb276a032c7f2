"""What enters a sandbox names operations and nothing of where they live."""

import json
from typing import Any

import pytest

from catalog import Catalog
from catalog.document import read
from catalog.manifest import manifest, with_handles
from catalog.openapi import operations
from catalog.reviewed import SPECS

DOCUMENT = read(SPECS / "image_ops.openapi.yaml")
CATALOG = Catalog(tuple(operations(DOCUMENT, "image_ops", strict=True)))
MANIFEST = manifest(CATALOG)


def entry(name: str) -> dict[str, Any]:
    (found,) = [each for each in MANIFEST["servers"]["image_ops"]["operations"] if each["name"] == name]
    return dict(found)


def test_the_manifest_is_json_in_the_agreed_shape() -> None:
    assert json.loads(json.dumps(MANIFEST)) == MANIFEST
    assert (MANIFEST["version"], MANIFEST["servers"]["image_ops"]["title"]) == (1, "Image Ops")
    job = entry("jobs_get")
    assert set(job) == {
        "id",
        "name",
        "summary",
        "description",
        "effect",
        "scope",
        "idempotency",
        "parameters",
        "arguments",
        "answer",
        "returns",
    }
    assert (job["id"], job["effect"], job["scope"]) == ("image_ops:jobs_get", "read", "image.jobs.read")
    assert [(each["name"], each["required"]) for each in job["parameters"]] == [("id", True), ("wait", False)]
    assert job["parameters"][1]["schema"]["maximum"] == 20
    assert set(job["parameters"][0]) == {"name", "required", "schema", "description", "annotation", "choices"}


def test_an_idempotency_key_is_the_keyword_idempotency_key() -> None:
    assert entry("cleanup_create")["arguments"]["required"][-1] == "idempotency_key"
    assert "Idempotency-Key" not in json.dumps(MANIFEST["servers"]["image_ops"]["operations"])


def test_no_url_host_or_path_is_in_the_manifest() -> None:
    text = json.dumps(MANIFEST)
    assert "://" not in text
    for operation in CATALOG.operations:
        assert operation.path not in text
    for server in DOCUMENT["servers"]:
        assert server["url"].partition("://")[2] not in text
    for each in MANIFEST["servers"]["image_ops"]["operations"]:
        assert not {"method", "path", "url", "wire_name"} & each.keys()


def test_signed_urls_are_blob_handles() -> None:
    url = entry("uploads_init")["answer"]["properties"]["upload_url"]
    assert (url["type"], url["x-sensitive"]) == ("object", "signed-url")
    assert url["description"].startswith("Blob handle.")
    assert "format" not in url
    result = entry("jobs_get")["answer"]["properties"]["results"]["items"]["properties"]["url"]
    assert result["type"] == "object"


def test_a_handle_that_may_be_absent_stays_nullable() -> None:
    schema = {"type": ["string", "null"], "format": "uri", "x-sensitive": "signed-url"}
    assert with_handles({"anyOf": [schema]})["anyOf"][0]["type"] == ["object", "null"]


@pytest.mark.parametrize("link", ["https://api.example.com/a?b=c", "s3://bucket/key", "see (http://x.y/z)."])
def test_links_in_the_text_of_any_document_are_taken_out(link: str) -> None:
    operation = {
        "operationId": "a",
        "summary": f"Do {link} now",
        "description": link,
        "parameters": [{"name": "q", "in": "query", "description": link, "schema": {"default": link, "enum": [link]}}],
    }
    catalog = Catalog.from_openapi({"info": {"title": link}, "paths": {"/a": {"get": operation}}}, "x")
    assert "://" not in json.dumps(manifest(catalog))


def choices_of(schema: dict[str, Any]) -> list[str]:
    operation = {"operationId": "a", "parameters": [{"name": "q", "in": "query", "schema": schema}]}
    catalog = Catalog.from_openapi({"paths": {"/a": {"get": operation}}}, "x")
    (found,) = manifest(catalog)["servers"]["x"]["operations"][0]["parameters"]
    return list(found["choices"])


def test_each_shape_of_a_choice_is_told_with_what_it_does() -> None:
    lines = next(each["choices"] for each in entry("jobs_create")["parameters"] if each["name"] == "operations")
    at = next(number for number, line in enumerate(lines) if line.startswith("{op: Literal['compress']"))
    told = " ".join(line.strip() for line in lines[at + 1 : at + 4])
    assert told.startswith("Encode at a quality") and "max_bytes" in told and "scaled down until it does" in told
    assert len([line for line in lines if line.startswith("{op: ")]) == 7
    assert all(line.startswith(("{op: ", "    ")) for line in lines)


@pytest.mark.parametrize(
    ("description", "told"),
    [
        ("", ""),
        ("One. Two.", "One. Two."),
        ("a" * 200 + ". " + "b" * 37 + ".", "a" * 200 + ". " + "b" * 37 + "."),
        ("a" * 200 + ". " + "b" * 38 + ".", "a" * 200 + "."),
        ("word " * 100, "word " * 47 + "..."),
        ("See https://example.com/" + "x" * 150 + "?sig=1 here.", "See (link) here."),
    ],
)
def test_what_a_choice_does_is_whole_sentences_within_a_bound_and_no_link(description: str, told: str) -> None:
    shape, *lines = choices_of({"oneOf": [{"type": "string", "description": description}]})
    assert shape == "str" and " ".join(line.strip() for line in lines) == told


def test_only_the_callers_part_is_in_the_callers_manifest() -> None:
    reading = manifest(CATALOG.only(lambda operation: operation.effect == "read"))
    assert [each["name"] for each in reading["servers"]["image_ops"]["operations"]] == ["jobs_get", "quota_get"]
    assert manifest(Catalog(()))["servers"] == {}
