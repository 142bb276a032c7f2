"""Attacks on the gateway's memory and patience: what it takes from one kernel is bounded, whatever is sent."""

from kernel_gateway.sandbox.probes.probe import Probe, of_family

_ON_A_BUSY_MACHINE = 40.0

FLOODS = of_family(
    "resources",
    Probe(
        "flood the gateway with text",
        """
for _ in range(200):
    print("x" * 100_000)
print("alive")
""",
        ("gateway",),
        ends=("cut",),
    ),
    Probe(
        "flood the gateway with messages",
        """
for number in range(12_000):
    display(number)
print("alive")
""",
        ("gateway",),
        ends=("cut",),
        seconds=_ON_A_BUSY_MACHINE,
    ),
    Probe(
        "flood the gateway with pictures",
        """
import base64, io
from PIL import Image
drawn = io.BytesIO()
Image.effect_noise((700, 700), 90).save(drawn, "PNG")
picture = base64.b64encode(drawn.getvalue()).decode()
for _ in range(40):
    display({"image/png": picture}, raw=True)
print("alive")
""",
        ("gateway",),
        ends=("cut",),
    ),
    Probe(
        "flood the gateway's log",
        """
for _ in range(100):
    os.write(2, b"x" * (1 << 20))
print("alive")
""",
        ("gateway",),
        ends=("survived",),
        why_no_control="what it aims at is the gateway's memory, which is measured while it runs",
    ),
    Probe(
        "show a value without a bound",
        """
print("alive", flush=True)
"x" * 100_000_000
""",
        ("gateway",),
        ends=("cut",),
    ),
    Probe(
        "have the gateway unpack a bomb at one of its doors",
        """
import base64, pickle, struct, zlib
from kernel_ext import Blob
class Bomb:
    def __reduce__(self):
        return os.mkdir, (HOST["folder"] + "/unpickled",)
def chunk(kind, data):
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
size = struct.pack("!IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
packed = zlib.compress(bytes(32 << 20))
picture = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", size) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
bombs = [pickle.dumps(Bomb()), picture, packed]
for bomb in bombs:
    text = base64.b64encode(bomb).decode()
    for mime in ("image/png", "application/x-python-pickle", "application/zip", "text/plain"):
        display({mime: text}, raw=True)
    for door in (lambda: call_tool("lab:ping", {"note": text}), lambda: Blob(HOST["own_blob"], "write").write(bomb),
                 lambda: search_tools(text[:400])):
        try:
            door()
        except ToolError:
            pass
print("alive")
""",
        ("gateway", "root", "landlock"),
        ends=("survived", "cut"),
        control="""
import pickle
class Bomb:
    def __reduce__(self):
        return os.mkdir, (HOST["folder"] + "/unpickled",)
pickle.loads(pickle.dumps(Bomb()))
print("alive")
""",
    ),
    Probe(
        "ask the gateway without end",
        """
def attack():
    for asked in range(1500):
        search_tools("anything")
    return asked
""",
        ("gateway",),
        ("limited",),
    ),
    Probe(
        "call without end",
        """
def attack():
    outcomes = call_tools([("lab:ping", {})] * 30)
    for outcome in outcomes:
        if not outcome.success:
            raise outcome.error
    return len(outcomes)
""",
        ("gateway",),
        ("limited",),
    ),
)
