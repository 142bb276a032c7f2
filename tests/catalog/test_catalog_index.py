"""Search: what people type finds what they mean; exact names win; the scores and the confidence mean something."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.document import read
from catalog.index import LOW_CONFIDENCE, Index
from catalog.reviewed import SPECS
from catalog.words import intent, terms

CATALOG = Catalog.from_openapi(read(SPECS / "image_ops.openapi.yaml"), "image_ops")

QUERIES = {
    "create an image job": "jobs_create",
    "upload a picture": "uploads_init",
    "is my job finished": "jobs_get",
    "delete temporary files": "cleanup_create",
    "how much quota is left": "quota_get",
    "resize a photo to 800 pixels wide": "jobs_create",
    "convert png to webp": "jobs_create",
    "add a watermark": "jobs_create",
    "strip metadata": "jobs_create",
    "rotate image by 90 degrees": "jobs_create",
    "crop the center of a picture": "jobs_create",
    "run image processing": "jobs_create",
    "check the status of a job": "jobs_get",
    "wait for the result": "jobs_get",
    "poll job progress": "jobs_get",
    "get the processed image link": "jobs_get",
    "start an upload": "uploads_init",
    "signed link for writing bytes": "uploads_init",
    "declare a file of a content type": "uploads_init",
    "purge my uploads": "cleanup_create",
    "clean up after the job": "cleanup_create",
    "erase results before they expire": "cleanup_create",
    "remaining requests this month": "quota_get",
    "rate limits of my organisation": "quota_get",
    "what are the limits": "quota_get",
    "when does the quota reset": "quota_get",
}


@pytest.mark.parametrize(("query", "expected"), QUERIES.items())
def test_what_people_ask_finds_what_they_mean(query: str, expected: str) -> None:
    assert CATALOG.search(query)[0].operation.name == expected


@pytest.mark.parametrize(
    "query",
    [
        "image_ops:jobs_get",
        "jobs_get",
        " JOBS_GET ",
        "/api/jobs/{id}",
        "/api/jobs/{job_id}/",
        "GET /api/jobs/{id}",
        "get /api/jobs/{id}",
    ],
)
def test_an_exact_id_name_or_path_comes_first_with_score_one(query: str) -> None:
    first, *rest = CATALOG.search(query)
    assert (first.operation.name, first.score) == ("jobs_get", 1.0)
    assert all(hit.score < 1.0 for hit in rest)
    assert bool(rest) == ("/" not in query and ":" not in query)  # only a name is a word that others may have too
    assert CATALOG.index.confidence(query) == 1.0


def test_a_path_without_a_method_finds_all_its_methods() -> None:
    paths = {"/a": {"get": {}, "post": {}}, "/b": {"get": {}}}
    catalog = Catalog.from_openapi({"paths": paths}, "s")
    assert [(hit.operation.method, hit.score) for hit in catalog.search("/a", 2)] == [("GET", 1.0), ("POST", 1.0)]
    assert [hit.operation.method for hit in catalog.search("POST /a", 1)] == ["POST"]


@pytest.mark.parametrize(
    "query", ["what is the weather in Paris", "book a flight", "send an email to Bob", "", "the of", "???"]
)
def test_confidence_is_low_where_nothing_fits(query: str) -> None:
    assert CATALOG.index.confidence(query) < LOW_CONFIDENCE


@pytest.mark.parametrize(
    "query", ["create an image job", "upload a picture", "how much quota is left", "delete uploads"]
)
def test_confidence_is_high_where_something_fits(query: str) -> None:
    assert CATALOG.index.confidence(query) > 2 * LOW_CONFIDENCE


def test_equal_operations_keep_the_catalogs_order() -> None:
    paths = {f"/x{number}": {"get": {"summary": "Get a parcel"}} for number in range(20)}
    catalog = Catalog.from_openapi({"paths": paths}, "post")
    first = [hit.operation.path for hit in catalog.search("parcel", 20)]
    assert first == [f"/x{number}" for number in range(20)]
    assert [hit.operation.path for hit in Index(catalog.operations).search("parcel", 20)] == first


@pytest.mark.parametrize("query", ["image_ops:jobs_delete", "IMAGE_OPS:jobs ", "other:jobs_get"])
def test_an_id_that_is_not_there_has_no_confidence_however_familiar_its_words(query: str) -> None:
    assert CATALOG.search(query) and CATALOG.index.confidence(query) == 0.0


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("image_ops:job_create", "image_ops:jobs_create"),
        ("quota_gte", "image_ops:quota_get"),
        ("zzz", None),
        ("", None),
        ("x" * 10_000, None),
    ],
)
def test_the_nearest_ids_are_those_a_name_may_be_a_slip_of(name: str, nearest: str | None) -> None:
    found = CATALOG.nearest(name)
    assert found[:1] == ([nearest] if nearest else []) and len(found) == len(set(found)) <= 3


def test_the_limit_is_kept() -> None:
    assert [len(CATALOG.search("image", limit)) for limit in (-1, 0, 1, 3, 50)] == [0, 0, 1, 3, 5]


def test_a_narrowed_catalog_finds_only_what_is_in_it() -> None:
    reading = CATALOG.only(lambda operation: operation.effect == "read")
    assert {hit.operation.name for hit in reading.search("job quota upload image")} == {"jobs_get", "quota_get"}
    assert reading.search("jobs_create") == [] or reading.search("jobs_create")[0].score < 1.0
    assert reading.search("image_ops:cleanup_create")[:1] != CATALOG.search("image_ops:cleanup_create")[:1]


def test_an_empty_catalog_finds_nothing() -> None:
    assert Catalog(()).search("anything") == []
    assert Catalog(()).index.confidence("anything") == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("createJob", ["creat", "job", "createjob"]),
        ("jobs_create", ["job", "creat"]),
        ("rate-limit-reset", ["rate", "limit", "reset"]),
        ("HTTPServerError", ["http", "server", "error", "httpservererror"]),
        ("the uploads of an organisation", ["upload", "organis"]),
        ("größe ÜBER", ["grösse", "über"]),
        ("ﬁle", ["file"]),
        ("", []),
    ],
)
def test_names_split_on_case_snake_and_kebab_and_are_stemmed(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_the_first_verb_says_what_is_wanted() -> None:
    assert [intent(query) for query in ("is it deleted", "please delete it", "make a list", "pictures")] == [
        "read",
        "delete",
        "write",
        None,
    ]


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=80), st.integers(0, 6))
def test_any_query_gives_ordered_scores_within_bounds(query: str, limit: int) -> None:
    hits = CATALOG.search(query, limit)
    assert len(hits) <= limit
    assert all(0 < hit.score <= 1 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len({hit.operation.id for hit in hits}) == len(hits)
    assert 0 <= CATALOG.index.confidence(query) <= 1
    assert hits == CATALOG.search(query, limit)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=60))
def test_terms_are_never_empty_and_ignore_case_of_whole_words(text: str) -> None:
    assert all(terms(text)) or terms(text) == []
    word = "".join(character for character in text if character.isascii() and character.isalpha()).lower()
    assert terms(word) == terms(word.capitalize()) == terms(word.upper())
