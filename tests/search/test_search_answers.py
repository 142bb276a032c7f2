"""What a caller gets for a query: an exact id alone, the nearest where an id is not there, and its own part only."""

import pytest

from catalog import Catalog
from catalog.document import read
from catalog.reviewed import SPECS
from kernel_gateway.errors import GatewayError
from kernel_gateway.search import MAX_LIMIT, MAX_QUERY_CHARACTERS, answer

CATALOG = Catalog.from_openapi(read(SPECS / "image_ops.openapi.yaml"), "image_ops")


def asked(query, catalog=CATALOG, *, limit=10, server="", detail="brief"):
    return answer(catalog, query, limit=limit, server=server, detail=detail)


@pytest.mark.parametrize("query", ["image_ops:jobs_get", " IMAGE_OPS:jobs_get ", "GET /api/jobs/{id}", "/api/jobs/{x}"])
def test_an_exact_id_or_path_is_the_only_hit(query):
    found = asked(query)
    assert [(hit["operation"], hit["score"]) for hit in found["hits"]] == [("image_ops:jobs_get", 1.0)]
    assert (found["total"], found["confidence"], found["hint"]) == (1, 1.0, "")


def test_an_exact_name_comes_first_and_what_has_its_words_behind_it():
    found = asked("jobs_get")
    first, *rest = found["hits"]
    assert (first["operation"], first["score"], found["confidence"]) == ("image_ops:jobs_get", 1.0, 1.0)
    assert rest and all(hit["score"] < 1.0 for hit in rest)


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("image_ops:jobs_delete", "image_ops:jobs_"),
        ("image_ops:job_create", "image_ops:jobs_create"),
        ("images:quota_get", "image_ops:quota_get"),
    ],
)
def test_an_id_that_is_not_there_is_no_hit_to_trust_and_names_the_nearest(query, near):
    found = asked(query)
    assert found["confidence"] == 0.0 and found["hint"].startswith("no operation has this id; nearest: ")
    assert near in found["hint"] and "\n" not in found["hint"]


def test_an_id_like_nothing_here_gets_the_hint_of_a_query_that_fits_nothing():
    found = asked("mail:zzzzzz")
    assert found["confidence"] == 0.0 and found["hint"].startswith("nothing fits well")


@pytest.mark.parametrize("query", ["jobs: create one", "job:", "at 10:30 create a job", "create an image job"])
def test_prose_with_a_colon_is_no_id(query):
    assert asked(query)["confidence"] > 0


def test_the_nearest_ids_are_of_operations_the_caller_may_use():
    reading = CATALOG.only(lambda operation: operation.effect == "read")
    hint = asked("image_ops:jobs_create", reading)["hint"]
    assert "image_ops:jobs_get" in hint and "jobs_create" not in hint


def test_of_one_server_only_its_operations_are_found():
    other = Catalog.from_openapi({"paths": {"/a": {"get": {"operationId": "jobs_get"}}}}, "other")
    both = Catalog.merge([CATALOG, other])
    assert {hit["operation"] for hit in asked("jobs_get", both)["hits"][:2]} == {"image_ops:jobs_get", "other:jobs_get"}
    assert [hit["operation"] for hit in asked("jobs_get", both, server="other")["hits"]] == ["other:jobs_get"]
    with pytest.raises(GatewayError, match="no server `third` here; there is image_ops, other"):
        asked("jobs_get", both, server="third")


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"query": "x" * MAX_QUERY_CHARACTERS}, True),
        ({"query": "x" * (MAX_QUERY_CHARACTERS + 1)}, False),
        ({"query": " "}, False),
        ({"limit": 1}, True),
        ({"limit": 0}, False),
        ({"limit": MAX_LIMIT}, True),
        ({"limit": MAX_LIMIT + 1}, False),
        ({"detail": "all"}, False),
    ],
)
def test_bounds_hold_at_both_sides(changes, accepted):
    arguments = {"query": "job"} | changes
    if accepted:
        asked(**arguments)
    else:
        with pytest.raises(GatewayError) as refused:
            asked(**arguments)
        assert refused.value.code == "invalid"


@pytest.mark.parametrize(
    ("detail", "keys"), [("brief", set()), ("signature", {"signature"}), ("full", {"signature", "schema"})]
)
def test_a_hit_tells_as_much_as_was_asked_for(detail, keys):
    (hit,) = asked("image_ops:jobs_get", detail=detail)["hits"]
    assert {"signature", "schema"} & hit.keys() == keys and hit["inputs"] == ["id"]


def test_who_may_use_nothing_is_told_so():
    found = asked("image_ops:jobs_get", Catalog(()))
    assert (found["hits"], found["confidence"]) == ([], 0.0) and "you may use no operation" in found["hint"]
