"""The protocol of the sixth channel: what is sent arrives, and nothing hostile is believed."""

import contextlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_ext.wire import MAX_FRAME_BYTES, Decoder, Kind, Limits, Message, WireError, encode, is_dense

EVERY = frozenset(Kind)
HEADER = struct.Struct("!BBHII")
heads = st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=50) | st.none(), max_size=5)
messages = st.builds(
    Message,
    st.sampled_from(sorted(Kind)),
    st.integers(0, 2**32 - 1),
    heads,
    st.binary(max_size=2000) | st.integers(0, 3 * MAX_FRAME_BYTES).map(bytes),
)


def frame(kind=Kind.CALL, flags=3, id_=1, payload=b"", version=1, length=None):
    return HEADER.pack(version, kind, flags, id_, len(payload) if length is None else length) + payload


def first(head: bytes, body: bytes = b"", head_length=None, body_length=None):
    declared_head = len(head) if head_length is None else head_length
    declared_body = len(body) if body_length is None else body_length
    sizes = struct.pack("!IQ", declared_head, declared_body)
    return sizes + head + body


def opening(id_=1, head_length=2, body_length=MAX_FRAME_BYTES, kind=Kind.CALL):
    """A first frame, full as it must be, of a message that goes on."""
    payload = struct.pack("!IQ", head_length, body_length).ljust(MAX_FRAME_BYTES, b"x")
    return frame(kind=kind, flags=1, id_=id_, payload=payload)


@settings(deadline=None, max_examples=60)
@given(st.lists(messages, max_size=6, unique_by=lambda m: m.id), st.randoms(use_true_random=False))
def test_interleaved_messages_arrive_whole_however_the_bytes_are_cut(sent, random):
    open_, stream = [encode(message) for message in sent], bytearray()
    while open_:
        frames = random.choice(open_)
        if (piece := next(frames, None)) is None:
            open_.remove(frames)
        else:
            assert len(piece) <= HEADER.size + MAX_FRAME_BYTES
            stream += piece
    decoder, received = Decoder(Limits(), EVERY), []
    while stream:
        cut = random.randint(1, MAX_FRAME_BYTES)
        received += decoder.feed(bytes(stream[:cut]))
        del stream[:cut]
    assert sorted(received, key=lambda m: m.id) == sorted(sent, key=lambda m: m.id)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_wire_error(data):
    with contextlib.suppress(WireError):
        for message in Decoder(Limits(), EVERY).feed(data):
            assert isinstance(message.head, dict)


@settings(deadline=None, max_examples=200)
@given(messages, st.data())
def test_a_flipped_byte_never_escapes_as_another_exception(message, data):
    stream = bytearray(b"".join(encode(message)))
    at = data.draw(st.integers(0, min(len(stream), 200) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(WireError):
        Decoder(Limits(), EVERY).feed(bytes(stream))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (frame(version=2), "version 2"),
        (frame(kind=99), "kind 99"),
        (frame(flags=4, payload=first(b"{}")), "flags"),
        (frame(length=MAX_FRAME_BYTES + 1), "longer than"),
        (frame(payload=b"short"), "too short"),
        (frame(flags=2), "never begun"),
        (frame(payload=first(b"{}", body_length=9)), "shorter than it declared"),
        (frame(payload=first(b"{}", b"more", body_length=0)), "longer than it declared"),
        (frame(payload=first(b"nonsense")), "not JSON"),
        (frame(payload=first(b"[1]")), "not a JSON object"),
        (frame(payload=first(b"[" * 20_000)), "not JSON"),
        (frame(payload=first(b"[" * 100_000)), "more than 20000 values"),
        (opening() + opening(), "begun twice"),
        (opening() + frame(kind=Kind.READ, flags=2), "changed its kind"),
        (frame(flags=1, payload=first(b"{}", body_length=9)), "a short frame"),
        (opening() + frame(flags=0), "a short frame"),
    ],
)
def test_what_breaks_the_protocol_is_named(bad, says):
    with pytest.raises(WireError, match=says):
        Decoder(Limits(), EVERY).feed(bad)


def test_a_kind_that_this_end_does_not_take_is_refused():
    with pytest.raises(WireError, match="not accepted"):
        Decoder(Limits(), frozenset({Kind.READY})).feed(frame(kind=Kind.CALL, payload=first(b"{}")))


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("what", ["head", "body"])
def test_declared_sizes_are_checked_at_their_limit_before_a_byte_is_kept(what, over):
    limits = Limits(max_head_bytes=1_000_000, max_body_bytes=2_000_000)
    head = 1_000_000 + over if what == "head" else 2
    body = 2_000_000 + over if what == "body" else MAX_FRAME_BYTES
    decoder = Decoder(limits, EVERY)
    declared = opening(head_length=head, body_length=body)
    if not over:
        assert decoder.feed(declared) == []
    else:
        with pytest.raises(WireError, match="longer than"):
            decoder.feed(declared)


@pytest.mark.parametrize(("count", "refused"), [(4, False), (5, True)])
def test_no_more_messages_are_open_at_once_than_allowed(count, refused):
    decoder = Decoder(Limits(max_open_messages=4), EVERY)
    stream = b"".join(opening(id_=i) for i in range(count))
    if refused:
        with pytest.raises(WireError, match="messages at once"):
            decoder.feed(stream)
    else:
        assert decoder.feed(stream) == []


def test_the_bytes_declared_by_open_messages_are_capped_together():
    decoder = Decoder(Limits(max_body_bytes=1_000_000, max_open_bytes=1_500_000), EVERY)
    with pytest.raises(WireError, match="bytes at once"):
        decoder.feed(b"".join(opening(id_=i, body_length=1_000_000) for i in range(2)))


def test_an_id_may_be_used_again_once_its_message_is_complete():
    decoder = Decoder(Limits(), EVERY)
    one = frame(payload=first(json.dumps({"n": 1}).encode()))
    assert [m.head for m in decoder.feed(one + one)] == [{"n": 1}, {"n": 1}]


def test_of_a_message_that_is_not_admitted_no_byte_is_kept_and_the_rest_goes_on():
    asked = []
    decoder = Decoder(Limits(), EVERY, lambda id_, size: asked.append((id_, size)))
    refused = b"".join(encode(Message(Kind.WRITE, 3, {}, bytes(1_000_000))))
    kept = b"".join(encode(Message(Kind.CALL, 4, {"n": 4})))
    assert decoder.feed(refused[:900_000]) == []
    assert (asked, len(decoder._open[3].data)) == ([(3, 1_000_002)], 0)
    assert decoder.feed(refused[900_000:] + kept) == [Message(Kind.DROPPED, 3), Message(Kind.CALL, 4, {"n": 4})]
    assert decoder._open_bytes == 0


def test_an_error_ends_an_answer_that_is_half_sent():
    decoder = Decoder(Limits(), EVERY)
    assert decoder.feed(opening(id_=3, kind=Kind.RESULT)) == []
    error = Message(Kind.ERROR, 3, {"code": "denied", "message": "m"})
    assert decoder.feed(b"".join(encode(error))) == [error]
    assert (decoder._open, decoder._open_bytes) == ({}, 0)


@pytest.mark.parametrize(
    ("raw", "dense"),
    [
        (b"[" + b"1," * 98 + b"1]", False),  # 98 commas, one bracket
        (b"[" + b"1," * 99 + b"1]", False),
        (b"[" + b"1," * 100 + b"1]", True),
        (b"[[]" + b",[]" * 60 + b"]", True),
        (b'["' + b"[,{" * 1000 + b'"]', False),  # a text may hold any number
        (b'["' + b'\\",[' * 1000 + b'"]', False),
        (b'["' + b"\\\\" * 3 + b'",' + b"[]," * 60 + b"0]", True),  # the backslashes are the text's, not the quote's
        (b'["' + b"\\\\" * 3 + b'\\",' + b"[]," * 60 + b'0"]', False),
        (b"[" + b'"",' * 80 + b'""]', False),
        (b'"' * 500 + b"," * 200, True),
        (b'["a\0"]', True),
        (('["\u2200",' + "[]," * 200 + "0]").encode("utf-16"), True),
    ],
)
def test_how_many_values_json_holds_is_told_without_parsing_it(raw, dense):
    assert is_dense(raw, 100) is dense


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_json_has_more_values_than_were_counted(value):
    def values(each):
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        return 1 + sum(map(values, inner))

    raw = json.dumps(value).encode()
    assert is_dense(raw, values(value) - 2)


@pytest.mark.parametrize("over", [0, 1])
def test_a_head_has_as_many_values_as_allowed_and_no_more(over):
    head = b'{"n": [' + b"0," * (98 + over) + b"0]}"
    decoder = Decoder(Limits(max_head_values=100), EVERY)
    if over:
        with pytest.raises(WireError, match="more than 100 values"):
            decoder.feed(frame(payload=first(head)))
    else:
        assert decoder.feed(frame(payload=first(head)))[0].head == {"n": [0] * 99}
