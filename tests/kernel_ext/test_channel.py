"""The kernel's end of the sixth channel, against a real socket."""

import socket
import threading
from concurrent.futures import wait

import pytest

from kernel_ext.channel import Channel
from kernel_ext.errors import ToolError
from kernel_ext.wire import Decoder, Kind, Limits, Message, encode

TO_GATEWAY = frozenset({Kind.CALL, Kind.READ, Kind.WRITE, Kind.SEARCH})


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    closed = threading.Event()
    strays = []
    channel = Channel(ours, strays.append, closed.set)
    channel.start()
    yield channel, theirs, strays, closed
    theirs.close()
    assert closed.wait(10)


def receive(sock, count):
    decoder, messages = Decoder(Limits(), TO_GATEWAY), []
    while len(messages) < count:
        messages += decoder.feed(sock.recv(1 << 16))
    return messages


def answer(sock, message):
    for piece in encode(message):
        sock.sendall(piece)


def test_an_answer_finds_the_request_it_belongs_to(ends):
    channel, gateway, _, _ = ends
    futures = [channel.submit(Kind.CALL, {"operation": f"x:{n}"}) for n in range(3)]
    for message in reversed(receive(gateway, 3)):
        answer(gateway, Message(Kind.RESULT, message.id, {"value": message.head["operation"]}))
    assert [future.result(10).head["value"] for future in futures] == ["x:0", "x:1", "x:2"]


def test_an_error_is_a_tool_error_with_its_code(ends):
    channel, gateway, _, _ = ends
    future = channel.submit(Kind.CALL, {})
    (message,) = receive(gateway, 1)
    answer(gateway, Message(Kind.ERROR, message.id, {"code": "limited", "message": "slower", "retry_after": 2}))
    with pytest.raises(ToolError) as caught:
        future.result(10)
    assert (caught.value.code, caught.value.message, caught.value.retry_after) == ("limited", "slower", 2)


def test_fifty_small_calls_are_not_held_up_by_a_20_mb_blob(ends):
    channel, gateway, _, _ = ends
    channel.submit(Kind.WRITE, {"handle": "h"}, bytes(20_000_000))
    for n in range(50):
        channel.submit(Kind.CALL, {"operation": f"x:{n}"})
    decoder, seen, received = Decoder(Limits(), TO_GATEWAY), [], 0
    while len(seen) < 51:
        data = gateway.recv(1 << 16)
        received += len(data)
        for message in decoder.feed(data):
            seen.append(message.kind)
            if message.kind is Kind.CALL and seen.count(Kind.CALL) == 50:
                assert received < 2_000_000, "all small calls arrive with the first frames of the blob"
    assert seen[-1] is Kind.WRITE


def test_arguments_that_are_not_json_are_refused_before_anything_is_sent(ends):
    channel, _, _, _ = ends
    with pytest.raises(ToolError) as caught:
        channel.request(Kind.CALL, {"arguments": {"x": object()}})
    assert caught.value.code == "invalid"


def test_when_the_gateway_is_gone_every_waiting_call_ends_and_so_do_later_ones(ends):
    channel, gateway, _, closed = ends
    future = channel.submit(Kind.CALL, {})
    gateway.close()
    wait([future], 10)
    assert closed.wait(10)
    for failed in (future, channel.submit(Kind.CALL, {})):
        with pytest.raises(ToolError) as caught:
            failed.result(0)
        assert caught.value.code == "unavailable"


def test_nobody_can_cancel_a_call_so_that_its_late_answer_harms_no_other(ends):
    channel, gateway, _, _ = ends
    first, second = channel.submit(Kind.CALL, {}), channel.submit(Kind.CALL, {})
    assert not first.cancel()
    for message in receive(gateway, 2):
        answer(gateway, Message(Kind.RESULT, message.id, {"value": message.id}))
    assert second.result(10).head["value"] == 2
    assert first.result(10).head["value"] == 1


def test_an_answer_to_no_request_goes_to_the_listener_and_harms_nobody(ends):
    channel, gateway, strays, _ = ends
    answer(gateway, Message(Kind.RESULT, 4711, {"value": 1}))
    future = channel.submit(Kind.CALL, {})
    (message,) = receive(gateway, 1)
    answer(gateway, Message(Kind.RESULT, message.id, {"value": 2}))
    assert future.result(10).head == {"value": 2}
    assert [stray.id for stray in strays] == [4711]
