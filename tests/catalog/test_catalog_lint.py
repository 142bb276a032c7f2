"""Every rule finds what it is for, and the served document meets them all."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.document import follow, read
from catalog.lint import SERVABLE, VALID, lint
from catalog.reviewed import SPECS
from catalog.rules import DOCUMENT_RULES, MAX_SUMMARY, MIN_SUMMARY, OPERATION_RULES

CLEAN = read(SPECS / "image_ops.openapi.yaml")
Change = Callable[[dict[str, Any]], object]


def upload(document: dict[str, Any]) -> dict[str, Any]:
    found = document["paths"]["/api/uploads/init"]["post"]
    assert isinstance(found, dict)
    return found


def job(document: dict[str, Any]) -> dict[str, Any]:
    found = document["paths"]["/api/jobs/{id}"]["get"]
    assert isinstance(found, dict)
    return found


def cleanup(document: dict[str, Any]) -> dict[str, Any]:
    found = document["paths"]["/api/cleanup"]["post"]
    assert isinstance(found, dict)
    return found


def model(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document["components"]["schemas"][name]
    assert isinstance(found, dict)
    return found


def argument(document: dict[str, Any], schema: Any, name: str = "extra") -> None:
    model(document, "UploadInit")["properties"][name] = schema


BROKEN: list[tuple[str, Change]] = [
    ("openapi-version", lambda d: d.update(openapi="3.0.3")),
    ("described-api", lambda d: d["info"].pop("title")),
    ("plain-servers", lambda d: d["servers"].append({"url": "https://user:secret@example.com"})),
    ("plain-servers", lambda d: d["servers"].append({"url": "https://example.com/?token=1"})),
    ("plain-servers", lambda d: d["servers"].append({"url": "http://example.com"})),
    ("plain-servers", lambda d: d["servers"].append({"url": "https://["})),
    ("one-server-list", lambda d: upload(d).update(servers=[{"url": "https://other.example.com"}])),
    ("local-references", lambda d: argument(d, {"$ref": "#/components/schemas/Nothing"})),
    ("local-references", lambda d: argument(d, {"$ref": "https://example.com/schema.json"})),
    (
        "bearer-security",
        lambda d: d["components"]["securitySchemes"].update(k={"type": "apiKey", "in": "query", "name": "k"}),
    ),
    ("unique-ids", lambda d: job(d).update(operationId="uploads_init")),
    ("operation-id", lambda d: job(d).update(operationId="getJob")),
    ("operation-id", lambda d: job(d).pop("operationId")),
    ("summary", lambda d: job(d).update(summary="x" * (MIN_SUMMARY - 1))),
    ("summary", lambda d: job(d).update(summary="x" * (MAX_SUMMARY + 1))),
    ("summary", lambda d: job(d).update(summary="Gets the job.")),
    ("description", lambda d: job(d).pop("description")),
    ("description", lambda d: job(d)["parameters"][0].pop("description")),
    ("declared-tag", lambda d: job(d).update(tags=["other"])),
    ("effect", lambda d: upload(d).pop("x-effect")),
    ("risk-only-raises", lambda d: upload(d).update({"x-risk": "low"})),
    ("risk-only-raises", lambda d: cleanup(d).update({"x-risk": "grave"})),
    ("effect-fits-method", lambda d: job(d).update({"x-effect": "write"})),
    ("one-scope", lambda d: job(d).update(security=[{"oauth": ["image.upload", "image.jobs.read"]}])),
    ("one-scope", lambda d: job(d).update(security=[{"oauth": ["image.unheard_of"]}])),
    ("one-scope", lambda d: job(d).pop("security")),
    ("json-answer", lambda d: job(d)["responses"]["200"].pop("content")),
    ("json-answer", lambda d: job(d)["responses"].pop("200")),
    ("problem-answers", lambda d: job(d)["responses"].update({"404": {"description": "gone"}})),
    (
        "problem-answers",
        lambda d: [job(d)["responses"].pop(each) for each in list(job(d)["responses"]) if each[0] == "5"],
    ),
    ("closed-objects", lambda d: model(d, "Resize").pop("additionalProperties")),
    ("closed-objects", lambda d: argument(d, {"type": "object", "additionalProperties": {"type": "null"}})),
    ("typed-requests", lambda d: argument(d, {"description": "anything"})),
    ("bounded-requests", lambda d: argument(d, {"type": "string"})),
    ("bounded-requests", lambda d: argument(d, {"type": "array", "items": {"type": "boolean"}})),
    ("bounded-requests", lambda d: argument(d, {"type": "integer", "minimum": 0})),
    ("bounded-requests", lambda d: argument(d, {"type": ["number", "null"], "maximum": 0})),
    ("idempotency-key", lambda d: upload(d).pop("parameters")),
    ("idempotency-key", lambda d: cleanup(d).update(parameters=upload(d)["parameters"])),
    ("sensitive-urls", lambda d: model(d, "Result")["properties"]["url"].pop("x-sensitive")),
    ("sensitive-urls", lambda d: model(d, "Result")["properties"].update(preview_url={"type": "string"})),
    ("no-credentials", lambda d: argument(d, {"type": "string", "maxLength": 9}, "access_token")),
    ("no-links", lambda d: job(d).update(description="See https://example.com for more")),
    ("no-links", lambda d: model(d, "Job").update(description="As /api/jobs/{id} gives it")),
    ("no-links", lambda d: job(d).update(description="Lives on image-ops.invalid today")),
    (SERVABLE, lambda d: argument(d, {"$dynamicRef": "#x", "type": "null"})),
    (SERVABLE, lambda d: d.update(paths=[])),
    (VALID, lambda d: argument(d, {"type": "string", "pattern": "("})),
]


@pytest.mark.parametrize(
    ("rule", "change"), BROKEN, ids=[f"{rule}-{number}" for number, (rule, _) in enumerate(BROKEN)]
)
def test_the_rule_finds_what_it_is_for(rule: str, change: Change) -> None:
    document = copy.deepcopy(CLEAN)
    change(document)
    found = [finding for finding in lint(document, "image_ops") if finding.rule == rule]
    assert found
    for finding in found:
        assert "\n" not in str(finding)
        assert finding.pointer == "" or finding.pointer.startswith("/")


def test_every_rule_is_shown_to_find_something_and_explains_itself() -> None:
    rules = [*DOCUMENT_RULES, *OPERATION_RULES]
    names = [rule.__name__.replace("_", "-") for rule in rules]
    assert {rule for rule, _ in BROKEN} == {*names, SERVABLE, VALID}
    assert all(inspect.getdoc(rule) for rule in rules)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 5},
        {"type": "string", "pattern": "^a$"},
        {"type": "string", "format": "date"},
        {"enum": ["a"]},
        {"const": 1},
        {"type": "integer", "minimum": 0, "exclusiveMaximum": 9},
        {"type": "array", "maxItems": 3, "items": {"type": "boolean"}},
        {"type": "object", "additionalProperties": False},
    ],
)
def test_a_bounded_argument_is_no_finding(schema: dict[str, Any]) -> None:
    document = copy.deepcopy(CLEAN)
    argument(document, schema)
    assert lint(document, "image_ops") == []


def test_the_served_document_meets_every_rule() -> None:
    assert lint(CLEAN, "image_ops") == []


def test_a_finding_points_to_where_the_mistake_is_written() -> None:
    document = copy.deepcopy(CLEAN)
    argument(document, {"type": "string"})
    (finding,) = lint(document, "image_ops")
    assert finding.pointer == "/components/schemas/UploadInit/properties/extra"
    assert follow(document, {"$ref": f"#{finding.pointer}"}) == {"type": "string"}


def test_recursive_models_end() -> None:
    document = copy.deepcopy(CLEAN)
    argument(document, {"$ref": "#/components/schemas/UploadInit"})
    assert {finding.rule for finding in lint(document, "image_ops")} == {SERVABLE}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, trail: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [trail, *(place for key, each in inner for place in places(each, (*trail, key)))]


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(places(CLEAN)), json_values)
def test_linting_never_fails_whatever_stands_anywhere(place: tuple[Any, ...], value: Any) -> None:
    document: Any = {"": copy.deepcopy(CLEAN)}
    *way, last = ("", *place)
    holder = document
    for key in way:
        holder = holder[key]
    holder[last] = value
    for finding in lint(document[""], "image_ops"):
        assert "\n" not in str(finding)
