"""Attacks through the kernel's own channels: what it says is a claim, and a kernel that lies harms itself alone."""

from kernel_gateway.sandbox.probes.probe import Probe, of_family

# Also what the kernel was asked, as its own frames hold it: with these anything can be answered in its name.
_FORGE = """
kernel = get_ipython().kernel
def asked():
    frame = sys._getframe()
    while not {"stream", "ident", "parent"} <= frame.f_locals.keys():
        frame = frame.f_back
    return frame.f_locals
def forge_output(session, parent):
    session.send(kernel.iopub_socket, "stream", {"name": "stdout", "text": "got through: forged\\n"}, parent=parent)
"""

# A frame of the sixth channel, written past the client.
_WIRE = """
import struct
from kernel_ext.channel import attached
from kernel_ext.wire import Kind, Message, encode
def put(data):
    attached()._sock.setblocking(True)
    attached()._sock.sendall(data)
def search(number):
    return b"".join(encode(Message(Kind.SEARCH, number, {"query": "x", "limit": 1, "threshold": 0.0})))
def wait_for_the_end():
    import time
    time.sleep(1)
    print("alive")
"""

_CALL = """
def attack():
    return call_tool("lab:ping")
"""

JUPYTER = of_family(
    "Python and Jupyter",
    Probe(
        "end its turn by a forged reply and call on",
        _FORGE
        + """
import time
print("alive", flush=True)
turn = asked()
kernel.session.send(turn["stream"], "execute_reply", {"status": "ok"}, turn["parent"], ident=turn["ident"])
turn["stream"].flush()
kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "idle"}, parent=turn["parent"])
time.sleep(0.5)
try:
    call_tool("lab:ping")
except ToolError:
    pass
""",
        ("gateway",),
        ends=("survived",),
        control=_CALL,
        lingers=True,
    ),
    Probe(
        "call from a thread after its cell has ended",
        """
import threading, time
def later():
    time.sleep(0.3)
    try:
        call_tool("lab:ping")
    except ToolError:
        pass
threading.Thread(target=later).start()
print("alive")
""",
        ("gateway",),
        ends=("survived",),
        control=_CALL,
        lingers=True,
    ),
    Probe(
        "be believed with a wrong key",
        _FORGE
        + """
from jupyter_client.session import Session
forge_output(Session(key=b"another key"), kernel.get_parent())
print("alive")
""",
        ("gateway",),
        ends=("survived",),
        control=_FORGE + "forge_output(kernel.session, kernel.get_parent())",
    ),
    Probe(
        "answer in the name of another cell",
        _FORGE
        + """
parent = kernel.get_parent()
other = {**parent, "header": {**parent["header"], "msg_id": "0" * 32}}
forge_output(kernel.session, other)
print("alive")
""",
        ("gateway",),
        ends=("survived",),
        control=_FORGE + "forge_output(kernel.session, kernel.get_parent())",
    ),
    Probe(
        "confuse the gateway with messages out of shape",
        _FORGE
        + """
delimiter = b"<IDS|MSG>"
shapes = [[b""], [delimiter], [delimiter] * 9, [b"x", delimiter, b"sig"], [delimiter, *[b"[" * 50_000] * 5],
          [delimiter, *[b"\\xff"] * 5], [delimiter, b"", b"1", b"null", b"[]", b"{}"], [b"\\0" * 4000] * 60]
for shape in shapes:
    kernel.iopub_socket.send_multipart(shape)
    asked()["stream"].send_multipart([asked()["ident"][0], *shape])
odd = ("stream", {"text": 5}), ("error", {"traceback": 1}), ("display_data", {"data": []}), ("status", {})
for kind, content in odd:
    kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
print("alive")
""",
        ("gateway",),
        ends=("survived",),
        control=_FORGE + "forge_output(kernel.session, kernel.get_parent())",
    ),
    Probe(
        "send a message without a bound",
        _FORGE
        + """
import time
from jupyter_client.session import Session
content = {"data": {"text/plain": "x" * 40_000_000}}
Session.send(kernel.session, kernel.iopub_socket, "display_data", content, parent=kernel.get_parent())
time.sleep(2)
print("alive")
""",
        ("gateway",),
        ends=("lost",),
    ),
    Probe(
        "open channels to the gateway without end",
        """
from comm import create_comm
for number in range(12_000):
    create_comm(target_name="flood", data={"number": number})
print("alive")
""",
        ("gateway",),
        ends=("cut",),
        seconds=40.0,
    ),
    Probe(
        "ask whoever sits at the gateway for a password",
        _FORGE
        + """
def attack():
    question = {"prompt": "Password:", "password": True}
    kernel.session.send(kernel.stdin_socket, "input_request", question, asked()["parent"], ident=asked()["ident"])
    try:
        return input("Password:")
    except RuntimeError as error:
        print(error)
""",
        ("gateway",),
        ("nothing",),
        why_no_control="the gateway has no ear for such a question, so there is nothing that could be taken away",
    ),
    Probe(
        "write noise into the sixth channel",
        _WIRE + "put(os.urandom(4096))\nwait_for_the_end()",
        ("gateway",),
        ends=("lost",),
        control=_WIRE + "put(search(2**31))\nwait_for_the_end()",
    ),
    Probe(
        "speak as the gateway does",
        _WIRE + 'put(b"".join(encode(Message(Kind.RESULT, 1, {"value": 1}))))\nwait_for_the_end()',
        ("gateway",),
        ends=("lost",),
        control=_WIRE + "put(search(2**31))\nwait_for_the_end()",
    ),
    Probe(
        "go on with a message that it never began",
        _WIRE
        + """
frames = list(encode(Message(Kind.WRITE, 2**31, {"handle": "x"}, bytes(600_000))))
put(b"".join(frames[1:]))
wait_for_the_end()
""",
        ("gateway",),
        ends=("lost",),
        control=_WIRE
        + """
frames = list(encode(Message(Kind.WRITE, 2**31, {"handle": "x"}, bytes(600_000))))
put(b"".join(frames))
wait_for_the_end()
""",
    ),
    Probe(
        "use the number of a request that still runs",
        _WIRE
        + """
wait = lambda number: b"".join(encode(Message(Kind.CALL, number, {"operation": "lab:wait", "arguments": {}})))
put(wait(2**31) + wait(2**31))
wait_for_the_end()
""",
        ("gateway",),
        ends=("lost",),
        control=_WIRE
        + """
wait = lambda number: b"".join(encode(Message(Kind.CALL, number, {"operation": "lab:wait", "arguments": {}})))
put(wait(2**31) + wait(2**31 + 1))
wait_for_the_end()
""",
    ),
    Probe(
        "send a request too deep to be read",
        _WIRE
        + """
def frame(head):
    return struct.pack("!BBHIIIQ", 1, Kind.SEARCH, 3, 2**31, 12 + len(head), len(head), 0) + head
put(frame(b"[" * 100_000))
wait_for_the_end()
""",
        ("gateway",),
        ends=("lost",),
        control=_WIRE
        + """
def frame(head):
    return struct.pack("!BBHIIIQ", 1, Kind.SEARCH, 3, 2**31, 12 + len(head), len(head), 0) + head
put(frame(b'{"query": "x"}'))
wait_for_the_end()
""",
    ),
    Probe(
        "announce a body without a bound",
        _WIRE
        + """
announced = struct.pack("!IQ", 2, 1 << 40)
put(struct.pack("!BBHII", 1, Kind.WRITE, 1, 2**31, 256 << 10) + announced + bytes((256 << 10) - 12))
wait_for_the_end()
""",
        ("gateway",),
        ends=("lost",),
        control=_WIRE
        + """
announced = struct.pack("!IQ", 2, 1 << 20)
put(struct.pack("!BBHII", 1, Kind.WRITE, 1, 2**31, 256 << 10) + announced + bytes((256 << 10) - 12))
wait_for_the_end()
""",
    ),
    Probe(
        "begin more messages than the gateway keeps",
        _WIRE
        + """
for number in range(2**31, 2**31 + 200):
    put(next(encode(Message(Kind.WRITE, number, {"handle": "x"}, bytes(1 << 20)))))
wait_for_the_end()
""",
        ("gateway",),
        ends=("lost",),
        control=_WIRE
        + """
for number in range(2**31, 2**31 + 20):
    put(next(encode(Message(Kind.WRITE, number, {"handle": "x"}, bytes(1 << 20)))))
wait_for_the_end()
""",
    ),
)
