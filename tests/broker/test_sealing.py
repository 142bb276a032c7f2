"""Answers on their way into a sandbox: links become handles or go, the rest stays as it was."""

import itertools
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.broker.marks import NOTHING, marks
from kernel_gateway.broker.seal import MAX_DEPTH, MAX_HANDLES, MAX_KEYS, clean, seal
from kernel_gateway.handles import BlobHandle, Handles
from kernel_gateway.upstreams.base import UpstreamError
from kernel_gateway.upstreams.hosts import REDACTED, StorageHosts

STORAGE = StorageHosts(["files.test"])
OURS = "https://files.test/f/1?exp=99&sig=s3cr3ts3cr3t"
FOREIGN = [
    "https://bucket.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=s3cr3ts3cr3t",
    "https://storage.googleapis.com/b/o?X-Goog-Credential=a&X-Goog-Signature=s3cr3ts3cr3t",
    "https://acct.blob.core.windows.net/c/b?sv=2024-01-01&se=2027-01-01&sp=r&sig=s3cr3ts3cr3t",
    "https://d1.cloudfront.net/x?Expires=1&Signature=s3cr3ts3cr3t&Key-Pair-Id=K2",
    "https://other.test/f?token=s3cr3ts3cr3t",
]
DISGUISES = [
    lambda url: url,
    str.upper,
    lambda url: f"see {url}, thanks",
    lambda url: f"({url})",
    lambda url: f'<a href="{url.replace("&", "&amp;")}">x</a>',
    lambda url: quote(url, safe=""),
    lambda url: f"https://login.test/?next={quote(url, safe='')}",
    lambda url: quote(quote(url, safe=""), safe=""),
    lambda url: json.dumps({"url": url}),
    lambda url: json.dumps(json.dumps([url])),
    lambda url: url.replace("/", "\\/"),
    lambda url: f"{url} {url}",
]
URL = {"type": "string", "x-sensitive": "signed-url"}


class Mint:
    """Makes handles and remembers the links."""

    def __init__(self):
        self.links = []

    def __call__(self, link):
        self.links.append(link)
        return BlobHandle(
            f"{len(self.links):032x}",
            link.url,
            "store",
            "acme",
            "s1",
            link.direction,
            link.size,
            link.content_type,
            link.expires_at or 2000.0,
        )


def sealed(body, schema=None, arguments=None):
    mint = Mint()
    value, count = seal(body, marks(schema or {}), STORAGE, arguments or {}, mint)
    assert count == len(mint.links)
    return value, mint.links


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)
secret_texts = st.builds(
    lambda url, disguise: disguise(url), st.sampled_from([OURS, *FOREIGN]), st.sampled_from(DISGUISES)
)
leaking = st.recursive(
    secret_texts | st.text(max_size=10) | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | secret_texts, inner, max_size=4),
    max_leaves=12,
)


def shape(value):
    """The structure, with every string and every handle as one letter."""
    if isinstance(value, dict):
        return "s" if "$blob" in value else {"keys": len(value), "values": [shape(each) for each in value.values()]}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return "s" if isinstance(value, str) else value


@given(leaking)
def test_no_string_of_an_answer_carries_a_signed_link_in(body):
    value, _ = sealed(body)
    text = json.dumps(value).lower()
    assert "s3cr3t" not in text and "files.test" not in text
    assert shape(value) == shape(body)


@given(leaking)
def test_a_marked_place_lets_nothing_through_at_all(body):
    value, _ = sealed({"url": body}, {"properties": {"url": {**URL, "items": URL, "additionalProperties": URL}}})
    assert "s3cr3t" not in json.dumps(value).lower()


@given(json_values)
def test_an_answer_without_links_stays_as_it_was(body):
    value, links = sealed(body)
    if "=" not in json.dumps(body) and "$blob" not in json.dumps(body):  # only a query can make a link signed
        assert value == body
    assert links == [] and shape(value) == shape(body)


@pytest.mark.parametrize(
    "text",
    [
        "https://docs.test/guide?page=2",
        "a=b&c=d",
        "50% off",
        "&amp; so",
        "/api/jobs/job_1",
        "e3b0c44298fc1c149afbf4c8996fb924",
        "",
    ],
)
def test_harmless_text_and_plain_links_stay(text):
    assert clean(text, STORAGE) == text


@pytest.mark.parametrize("schema", [{}, {"properties": {"url": URL}}])
def test_a_link_to_the_storage_becomes_a_handle_marked_or_not(schema):
    value, (link,) = sealed({"url": OURS, "n": 1}, schema)
    assert set(value["url"]["$blob"]) == {"id", "direction", "size", "content_type", "expires_at"} and value["n"] == 1
    assert (link.url, link.direction) == (OURS, "read")


def test_a_marked_link_elsewhere_is_redacted():
    value, links = sealed({"url": "https://elsewhere.test/plain"}, {"properties": {"url": URL}})
    assert value == {"url": REDACTED} and links == []


def test_a_result_takes_its_facts_from_beside_it():
    body = {
        "url": OURS,
        "url_expires_at": "2026-11-21T10:00:00Z",
        "expires_at": "2030-01-01T00:00:00Z",
        "size_bytes": 7,
        "content_type": "image/webp",
    }
    _, (link,) = sealed({"results": [body]}, arguments={"size_bytes": 1, "content_type": "image/png"})
    assert (link.size, link.content_type, link.expires_at, link.headers) == (7, "image/webp", 1795255200.0, {})


def test_an_upload_takes_its_size_and_type_from_the_request():
    body = {
        "upload_url": OURS,
        "method": "put",
        "upload_url_expires_at": "2026-11-21T10:00:00+00:00",
        "headers": {"X-Meta": "m", "Bad\n": "x", "X-Bad": "a\r\nb", "N": 1},
    }
    value, (link,) = sealed(body, arguments={"size_bytes": 9, "content_type": "image/png"})
    assert (link.direction, link.size, link.content_type, link.expires_at) == ("write", 9, "image/png", 1795255200.0)
    assert link.headers == {"X-Meta": "m", "Content-Type": "image/png"}
    assert "m" not in value["headers"].values() and set(value["headers"]) == set(body["headers"])
    assert value["upload_url"]["$blob"]["direction"] == "write"


def test_the_description_can_say_the_direction_itself():
    schema = {"properties": {"put": {**URL, "x-direction": "write"}, "get": {**URL, "x-direction": "read"}}}
    _, (put, get) = sealed({"put": OURS, "get": OURS, "method": "PUT"}, schema)
    assert (put.direction, get.direction) == ("write", "read")


@pytest.mark.parametrize(
    "beside",
    [
        {"size_bytes": True},
        {"size_bytes": -1},
        {"size_bytes": "7"},
        {"content_type": "a\nb"},
        {"url_expires_at": "soon"},
        {"url_expires_at": 5},
    ],
)
def test_odd_facts_are_not_believed(beside):
    _, (link,) = sealed({"url": OURS, **beside})
    assert (link.size, link.content_type, link.expires_at) == (None, None, None)


def test_an_upstream_cannot_make_handles():
    value, _ = sealed({"$blob": {"id": "0" * 32}, "list": [{"$blob": 1}]})
    assert '"$blob"' not in json.dumps(value)


def test_keys_that_clash_when_redacted_both_stay():
    value, _ = sealed({FOREIGN[0]: 1, FOREIGN[1]: 2, OURS: 3, REDACTED: 4})
    assert sorted(value.values()) == [1, 2, 3, 4] and "s3cr3t" not in json.dumps(value)


def test_thousands_of_keys_that_clash_take_one_step_each(monkeypatch):
    steps = itertools.count()
    body = {f"https://files.test/{number}?sig=s3cr3ts3cr3t": number for number in range(MAX_KEYS)}
    monkeypatch.setattr("kernel_gateway.broker.seal.clean", lambda text, storage: (next(steps), REDACTED)[1])
    value, _ = sealed(body)
    assert list(value.values()) == list(range(MAX_KEYS)) and next(steps) == MAX_KEYS
    assert list(value)[:2] == [REDACTED, f"{REDACTED} 2"] and list(value)[-1] == f"{REDACTED} {MAX_KEYS}"


def test_a_number_that_is_taken_already_is_passed_over():
    value, _ = sealed({f"{REDACTED} 2": 1, REDACTED: 2, FOREIGN[0]: 3, FOREIGN[1]: 4})
    assert value == {f"{REDACTED} 2": 1, REDACTED: 2, f"{REDACTED} 3": 3, f"{REDACTED} 4": 4}


@pytest.mark.parametrize(("count", "accepted"), [(MAX_KEYS, True), (MAX_KEYS + 1, False)])
def test_keys_of_one_object_have_an_end(count, accepted):
    body = {"inner": {str(number): number for number in range(count)}}
    if accepted:
        assert sealed(body)[0] == body
    else:
        with pytest.raises(UpstreamError, match="keys") as refused:
            sealed(body)
        assert refused.value.code == "upstream_invalid"


def test_a_link_named_twice_for_writing_is_one_handle():
    mint = Mint()
    body = {"a": OURS, "b": OURS, "method": "PUT", "more": [{"c": OURS, "method": "PUT"}, {"d": OURS}]}
    value, _ = seal(body, NOTHING, STORAGE, {}, mint)
    assert value["a"] == value["b"] == value["more"][0]["c"] != value["more"][1]["d"]
    assert [link.direction for link in mint.links] == ["write", "read"]


@pytest.mark.parametrize(
    "date", ["0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "1969-12-31T00:00:00Z"]
)
def test_a_date_at_the_ends_of_the_calendar_makes_a_handle_like_any_other(date):
    handles = Handles(lambda: 1000.0, lambda size: "0" * 2 * size)

    def mint(link):
        who = {"server": "store", "organisation": "acme", "session_id": "s1"}
        return handles.mint(link.url, direction=link.direction, expires_at=link.expires_at, **who)

    value, _ = seal({"url": OURS, "url_expires_at": date}, NOTHING, STORAGE, {}, mint)
    assert value["url"]["$blob"]["expires_at"] == (
        "1970-01-31T00:16:40Z" if date.startswith("9999") else "1970-01-01T00:00:00Z"
    )


@pytest.mark.parametrize(("depth", "accepted"), [(MAX_DEPTH, True), (MAX_DEPTH + 2, False)])
def test_nesting_has_an_end(depth, accepted):
    body = "x"
    for _ in range(depth):
        body = [body]
    if accepted:
        assert sealed(body)[0] == body
    else:
        with pytest.raises(UpstreamError, match="nested"):
            sealed(body)


@pytest.mark.parametrize(("count", "accepted"), [(MAX_HANDLES, True), (MAX_HANDLES + 1, False)])
def test_links_of_one_answer_have_an_end(count, accepted):
    if accepted:
        assert len(sealed([OURS] * count)[1]) == count
    else:
        with pytest.raises(UpstreamError, match="links"):
            sealed([OURS] * count)


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        ({"properties": {"a": URL}}, {"a": "x"}),
        ({"patternProperties": {"^a": URL}}, {"ab": "x"}),
        ({"additionalProperties": URL}, {"q": "x"}),
        ({"items": URL}, ["x"]),
        ({"prefixItems": [{}, URL]}, ["x"]),
        ({"allOf": [{}, {"properties": {"a": URL}}]}, {"a": "x"}),
        ({"oneOf": [{"properties": {"a": {}}}, {"anyOf": [{"properties": {"a": URL}}]}]}, {"a": "x"}),
        ({"if": {}, "then": {"properties": {"a": URL}}}, {"a": "x"}),
        ({"dependentSchemas": {"b": {"properties": {"a": URL}}}}, {"a": "x"}),
        ({"properties": {"a": {"items": {"properties": {"b": URL}}}}}, {"a": [{"b": "x"}]}),
        ({"properties": {"a": {"type": "object"}}, "additionalProperties": URL}, {"a": "x"}),
        (URL, "x"),
        ({"properties": {"a": {"type": "object", "x-sensitive": "signed-url"}}}, {"a": {"b": ["x"]}}),
        ({"type": "array", "x-sensitive": "signed-url"}, [["x"]]),
    ],
)
def test_marks_are_found_wherever_a_schema_can_put_them(schema, body):
    value, _ = sealed(body, schema)
    assert REDACTED in json.dumps(value)


def test_a_schema_without_marks_costs_nothing():
    assert marks({"properties": {"a": {"items": {"type": "string"}}}}) == NOTHING and marks(True) == NOTHING
