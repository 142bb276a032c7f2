"""Arguments become path, query, headers and body, and none of them can leave its place."""

import json
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.upstreams.base import UpstreamError
from kernel_gateway.upstreams.request import build

any_text = st.text(max_size=40) | st.sampled_from(
    ["../../admin", "a/b", "%2e%2e", "?x=1", "#f", "..;/", "a\\..\\b", " "]
)


@pytest.fixture
def get(things):
    return things.get("things:things_get")


@given(identity=any_text)
def test_an_id_stays_one_path_segment(things, identity):
    try:
        parts = build(things.get("things:things_get"), {"id": identity})
    except UpstreamError as refused:
        assert refused.code == "invalid" and "`id`" in refused.message
        assert identity in ("", ".", "..") or not identity.isprintable() or not _is_unicode(identity)
        return
    sent = httpx2.URL("https://things.test" + parts.target)
    segments = sent.raw_path.decode().split("/")
    assert sent.host == "things.test" and len(segments) == 3 and segments[1] == "things"
    assert unquote(segments[2]) == identity
    assert not sent.query and not sent.fragment


def _is_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("identity", ["", ".", ".."])
def test_dots_alone_are_no_id(get, identity):
    with pytest.raises(UpstreamError) as refused:
        build(get, {"id": identity})
    assert refused.value.code == "invalid" and not refused.value.sent


@given(tags=st.lists(any_text.filter(_is_unicode), max_size=4), deep=st.booleans())
def test_query_values_are_encoded_and_lists_repeat_the_name(things, tags, deep):
    parts = build(things.get("things:things_get"), {"id": "x", "tag": tags, "deep": deep})
    query = parse_qsl(urlsplit(parts.target).query, keep_blank_values=True, strict_parsing=True)
    assert query == [("tag", tag) for tag in tags] + [("deep", "true" if deep else "false")]


def test_absent_and_null_arguments_are_not_sent(get):
    assert build(get, {"id": "x", "tag": None}).target == "/things/x"


@pytest.mark.parametrize("note", ["a\r\nAuthorization: Bearer stolen", "a\nb", "caf\u00e9", "\x00"])
def test_a_header_value_cannot_add_a_header(get, note):
    with pytest.raises(UpstreamError) as refused:
        build(get, {"id": "x", "x_note": note})
    assert refused.value.code == "invalid" and "`x_note`" in refused.value.message


def test_body_properties_go_into_one_json_object_under_their_wire_names(things):
    parts = build(things.get("things:things_create"), {"name": "n", "from_": [1]})
    assert (parts.method, parts.target) == ("POST", "/things")
    assert json.loads(parts.content) == {"name": "n", "from": [1]}


def test_repr_shows_no_argument(get):
    assert "secret" not in repr(build(get, {"id": "secret", "tag": ["secret"]}))
