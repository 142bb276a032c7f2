"""ZMTP without I/O: libzmq understands us, and nothing it could send is kept beyond its bounds."""

import socket
import struct
import tracemalloc

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.kernels.zmtp import SUBSCRIBE_TO_ALL, Bounds, Decoder, ZmtpError, encode, opening

BOUNDS = Bounds(max_message_bytes=1000, max_message_parts=4)
MORE, LONG, COMMAND = 1, 2, 4
MIB = 1024 * 1024


def frame(flags, payload):
    return bytes([flags | LONG]) + struct.pack("!Q", len(payload)) + payload


def command(name, data=b""):
    return frame(COMMAND, bytes([len(name)]) + name + data)


def greeted(bounds=BOUNDS):
    decoder = Decoder(bounds)
    decoder.feed(opening("ROUTER"))
    assert decoder.take(10) == []
    assert decoder.ready
    return decoder


def taken(decoder, data, frames=1000):
    decoder.feed(data)
    return decoder.take(frames)


@pytest.fixture
def peer(tmp_path):
    """`peer(zmq type, our type)` -> libzmq's socket, ours, and a decoder that has its greeting."""
    context, ours, held = zmq.Context(), [], []

    def start(kind, name):
        theirs = context.socket(kind)
        theirs.linger = 0
        held.append(theirs)
        theirs.bind(f"ipc://{tmp_path}/{len(ours)}")
        sock = socket.socket(socket.AF_UNIX)
        ours.append(sock)
        sock.connect(f"{tmp_path}/{len(ours) - 1}")
        sock.sendall(opening(name))
        decoder = Decoder(Bounds(32 * MIB, 8))
        while not decoder.ready:
            decoder.feed(sock.recv(4096))
            decoder.take(10)
        return theirs, sock, decoder

    yield start
    for sock in (*ours, *held):
        sock.close()
    context.destroy(linger=0)


def receive(sock, decoder):
    while not (messages := decoder.take(1000)):
        decoder.feed(sock.recv(1 << 18))
    return messages


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000, 9_000_000])
def test_libzmq_and_we_understand_each_other_at_every_length(peer, size):
    theirs, sock, decoder = peer(zmq.ROUTER, "DEALER")
    sock.sendall(encode([b"question", b"x" * 255, b"y" * 256, b""]))
    identity, *parts = theirs.recv_multipart()
    assert parts == [b"question", b"x" * 255, b"y" * 256, b""]
    theirs.send_multipart([identity, b"answer", bytes(size), b""])
    assert receive(sock, decoder) == [[b"answer", bytes(size), b""]]


def test_libzmq_publishes_to_us_once_we_have_subscribed(peer):
    theirs, sock, decoder = peer(zmq.XPUB, "SUB")
    sock.sendall(encode([SUBSCRIBE_TO_ALL]))
    assert theirs.recv() == b"\x01"
    theirs.send_multipart([b"topic", b"news"])
    assert receive(sock, decoder) == [[b"topic", b"news"]]


def test_a_ping_of_libzmq_is_answered_and_keeps_the_connection(peer):
    theirs, sock, decoder = peer(zmq.ROUTER, "DEALER")
    assert taken(decoder, command(b"PING", b"\0\x09context")) == []
    assert decoder.pong == b"\x04\x0c\x04PONGcontext"
    sock.sendall(decoder.pong + encode([b"still here"]))
    assert theirs.recv_multipart()[1:] == [b"still here"]


@given(
    st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=3), max_size=6),
    st.lists(st.integers(1, 200), min_size=1),
)
def test_messages_are_the_same_however_their_bytes_are_cut(messages, cuts):
    decoder, found = greeted(), []
    stream, at, n = b"".join(map(encode, messages)), 0, 0
    while at < len(stream):
        found += taken(decoder, stream[at : at + cuts[n % len(cuts)]])
        at, n = at + cuts[n % len(cuts)], n + 1
    assert found == messages


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_messages_or_an_error_that_stays(data, after_greeting):
    decoder = greeted() if after_greeting else Decoder(BOUNDS)
    try:
        assert all(sum(map(len, parts)) <= 1000 for parts in taken(decoder, data))
    except ZmtpError as error:
        with pytest.raises(ZmtpError, match=str(error).replace("(", ".").replace(")", ".")):
            taken(decoder, encode([b"more"]))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n" * 4, "not a greeting"),
        (opening("ROUTER").replace(b"NULL", b"PLAIN"), "not a greeting"),
        (opening("ROUTER")[:10] + b"\x02" + opening("ROUTER")[11:], "not a greeting"),
        (opening("ROUTER")[:64] + encode([b"early"]), "before the READY"),
        (opening("ROUTER")[:64] + command(b"HELLO"), "not READY"),
        (opening("ROUTER") + frame(8, b""), "unknown flags"),
        (opening("ROUTER") + frame(COMMAND | MORE, b"\x04PING"), "several frames"),
        (opening("ROUTER") + command(b"ERROR", b"\x02no"), "refused"),
    ],
)
def test_what_breaks_the_protocol_is_named(data, why):
    with pytest.raises(ZmtpError, match=why):
        taken(Decoder(BOUNDS), data)


def test_unknown_and_empty_commands_are_passed_over():
    decoder = greeted()
    assert taken(decoder, command(b"SUBSCRIBE", b"x") + frame(COMMAND, b"") + encode([b"m"])) == [[b"m"]]


@pytest.mark.parametrize("sizes", [[1000], [500, 500], [0, 999, 1]])
def test_a_message_is_as_long_as_allowed_and_no_longer(sizes):
    parts = [bytes(size) for size in sizes]
    assert taken(greeted(), encode(parts)) == [parts]
    with pytest.raises(ZmtpError, match="longer than 1000 bytes"):
        taken(greeted(), encode([*parts[:-1], parts[-1] + b"x"]))


def test_a_message_has_as_many_parts_as_allowed_and_no_more():
    assert taken(greeted(), encode([b""] * 4)) == [[b""] * 4]
    with pytest.raises(ZmtpError, match="more than 4 parts"):
        taken(greeted(), encode([b""] * 5))


def test_a_command_is_as_long_as_allowed_and_no_longer():
    assert taken(greeted(), command(b"NEWS", bytes(507))) == []
    with pytest.raises(ZmtpError, match="longer than 512"):
        taken(greeted(), command(b"NEWS", bytes(508)))


def test_no_more_frames_are_taken_than_asked_for():
    decoder = greeted()
    assert taken(decoder, encode([b"a"]) * 3 + command(b"NEWS") * 5, 2) == [[b"a"]] * 2
    assert [decoder.take(2), decoder.take(100)] == [[[b"a"]], []]
    assert decoder.frames == 1 + 3 + 5


@pytest.mark.parametrize("part", [b"", b"x" * 1000, b"x" * 100_000])
def test_an_endless_message_is_refused_before_it_fills_memory(part):
    decoder, pieces = greeted(Bounds(8 * MIB, 256)), frame(MORE, part) * (262_144 // (len(part) + 9))
    tracemalloc.start()
    try:
        with pytest.raises(ZmtpError):
            for _ in range(1000):
                taken(decoder, pieces, 10_000)
        assert tracemalloc.get_traced_memory()[1] < 12 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flags", [0, MORE, COMMAND])
def test_a_declared_size_is_refused_before_a_byte_of_it_comes(flags):
    with pytest.raises(ZmtpError, match="longer than"):
        taken(greeted(), bytes([flags | LONG]) + struct.pack("!Q", 2**63))
