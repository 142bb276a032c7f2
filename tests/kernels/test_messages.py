"""Jupyter messages: jupyter_client and we understand each other, and what is not ours is not read."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session

from kernel_gateway.kernels.messages import DELIMITER, MAX_HEADER_BYTES, MAX_VALUES, Signer, read

ID = "0123456789abcdef"
MIB = 1024 * 1024


def kernels(key=b"key"):
    return Session(key=key)


def message(kind="stream", content=None, parent=ID, key=b"key", **header):
    """What a kernel sends."""
    session = kernels(key)
    wanted = session.msg(kind, content or {"text": "hello"}, parent={"msg_id": parent})
    wanted["header"].update(header)
    return session.serialize(wanted, ident=b"kernel.topic")


def test_a_request_is_what_jupyter_client_verifies_and_understands():
    parts = Signer(b"key").request("execute_request", {"code": "'ä'\ud800"}, ID)
    _, rest = kernels().feed_identities(parts)
    received = kernels().deserialize(rest)
    assert (received["msg_type"], received["msg_id"]) == ("execute_request", ID)
    assert received["content"] == {"code": "'ä'\ud800"}


@pytest.mark.parametrize("topic", [[], [b"topic"], [b"topic", b""]])
def test_an_answer_has_its_kind_and_its_content(topic):
    answer = Signer(b"key").answer([*topic, *message()[1:], b"a buffer"], ID)
    assert (answer.kind, read(answer.content)) == ("stream", {"text": "hello"})
    assert "hello" not in repr(answer)


@pytest.mark.parametrize(
    "parts",
    [
        message(parent="of an earlier cell"),
        message(parent=f"x{ID}"),
        message(key=b"another key"),
        message(msg_type=7),
        message()[:-1],
        [],
        [DELIMITER],
        [b""] * 5 + message(),
        [DELIMITER, b"", b"{}", b'{"msg_id": "0123456789abcdef"}', b"{}", b"{}"],
        [*message()[:3], b"[]", *message()[4:]],
    ],
)
def test_what_is_forged_malformed_or_for_somebody_else_is_no_answer(parts):
    assert Signer(b"key").answer(parts, ID) is None


def signed(header, parent):
    signer, parts = Signer(b"key"), [header, parent, b"{}", b"{}"]
    return [DELIMITER, signer._sign(parts), *parts]


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        (b"[" * 2000, b'{"msg_id": "%s"}' % ID.encode()),
        (b'{"msg_type": "stream"}', b'["%s"]' % ID.encode()),
        (b'{"msg_type": "stream"}', b'{"msg_id": {"%s": 1}}' % ID.encode()),
        (b"{}", b'{"msg_id": "%s"}' % ID.encode()),
        (b"\xff\xfe\0", b'{"msg_id": "%s"}' % ID.encode()),
    ],
)
def test_headers_of_any_other_shape_are_no_answer_though_well_signed(header, parent):
    assert Signer(b"key").answer(signed(header, parent), ID) is None


@pytest.mark.parametrize(("extra", "is_read"), [(0, True), (1, False)])
def test_a_header_is_as_long_as_allowed_and_no_longer(extra, is_read):
    header = b'{"msg_type": "stream"}'.ljust(MAX_HEADER_BYTES + extra)
    parent = b'{"msg_id": "%s"}' % ID.encode()
    assert (Signer(b"key").answer(signed(header, parent), ID) is not None) is is_read
    parent = parent.ljust(MAX_HEADER_BYTES + extra)
    assert (Signer(b"key").answer(signed(b'{"msg_type": "stream"}', parent), ID) is not None) is is_read


@pytest.mark.parametrize(("extra", "is_read"), [(0, True), (1, False)])
def test_a_content_has_as_many_values_as_allowed_and_no_more(extra, is_read):
    raw = b'{"x": [' + b"1," * (MAX_VALUES - 2 + extra) + b"1]}"
    assert (read(raw) is not None) is is_read


@pytest.mark.parametrize("value", [b"[],", b"{},", b'"",', b"1.5,", b"[[[[[],", b'"\\ud83d\\ude00",'])
def test_the_densest_message_costs_a_bounded_multiple_of_its_size(value):
    marks = sum(map(value.count, (b",", b"[", b"{")))
    longest, densest = 8 * MIB // len(value), (MAX_VALUES - 2) // marks
    tracemalloc.start()
    try:
        for count in (longest, min(longest, densest)):
            read(b'{"x": [' + value * count + b"1]}")
        assert tracemalloc.get_traced_memory()[1] < 128 * MIB
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200) | st.recursive(st.integers(), st.lists).map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_object_or_none(raw):
    assert isinstance(read(raw), dict | None)


@pytest.mark.parametrize("raw", [b"1" * 5000, b"[" * 100_000, b'{"a":' * 100_000, b"", b"\0" * 8, b"NaN"])
def test_json_that_python_refuses_is_none(raw):
    assert read(raw) is None
