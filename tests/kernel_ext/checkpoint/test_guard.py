"""What the guard says of one object. Without numpy, as in a kernel that has not imported it; with it in test_leaks."""

import array
import base64
import ctypes
import gzip
import io
import json
import mmap
import subprocess
import sys
import tarfile
import zipfile

import pytest
from PIL import Image

from kernel_ext import blobs
from kernel_ext.checkpoint import archives, formats
from kernel_ext.checkpoint.guard import Guard
from kernel_ext.checkpoint.sieve import Sieve
from kernel_ext.checkpoint.tombstone import Tombstone
from tests.conftest import IMAGE


def file(kind="PNG", side=48):
    image = Image.effect_noise((side, side), 80)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def zipped(data, times=1):
    for _ in range(times):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", data)
        data = out.getvalue()
    return data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "JPEG2000", "PPM", "TGA", "PCX", "ICO"])
def test_a_file_of_a_picture_is_replaced_and_named(kind):
    data = file(kind)
    found = Guard().replace(data)
    assert isinstance(found, Tombstone)
    assert found.bytes == len(data)
    assert found.kind.startswith("image/")
    assert Guard().suspects(b"before" + data + b"behind")


@pytest.mark.parametrize(
    "disguise",
    [
        bytearray,
        memoryview,
        io.BytesIO,
        list,
        tuple,
        gzip.compress,
        base64.b64encode,
        base64.encodebytes,
        bytes.hex,
        zipped,
        lambda d: zipped(d, 3),
        lambda d: d.decode("latin-1"),
        lambda d: array.array("B", d),
        lambda d: (ctypes.c_ubyte * len(d)).from_buffer_copy(d),
        lambda d: json.dumps({"text": "words " * 50, "data": base64.b64encode(d).decode()}),
        lambda d: int.from_bytes(d, "little"),
        lambda d: [d[at : at + 500] for at in range(0, len(d), 500)],
    ],
)
def test_whatever_holds_a_file_is_replaced_without_numpy_too(disguise):
    assert "numpy" not in sys.modules
    assert Guard().replace(disguise(file())) is not None


def test_a_mapped_file_is_looked_at():
    with mmap.mmap(-1, 8192) as mapped:
        mapped.write(file())
        assert Guard().replace(mapped) is not None


def test_a_tar_is_looked_into():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
        info = tarfile.TarInfo("b")
        info.size = len(file())
        archive.addfile(info, io.BytesIO(file()))
    assert Guard().replace(out.getvalue()) is not None


@pytest.mark.parametrize(
    "value", [None, 7, 2**5000, "", "text " * 1000, b"\x89PNG\r\n\x1a\n", list(range(1000)), {}, object(), len, Guard]
)
def test_what_is_no_image_stays(value):
    assert Guard().replace(value) is None


def test_an_image_of_pillow_is_replaced_and_says_how_to_get_it():
    guard, image = Guard(), Image.open(io.BytesIO(file()))
    assert guard.replace(image).how == "made"
    image.load()
    guard.noted_image(image)
    assert guard.replace(image).how == "decoded"


def test_what_came_from_a_blob_says_so(monkeypatch):
    guard, data = Guard(), file()
    assert guard.replace(data).how == "made"
    monkeypatch.setattr(blobs, "on_read", guard.noted_blob)
    monkeypatch.setattr(blobs, "attached", lambda: Answering(data))
    assert blobs.Blob("b", "read").read() == data
    assert guard.replace(data).how == "blob"


class Answering:
    def __init__(self, body):
        self.body = body

    def request(self, kind, fields):
        return self


class Hostile(bytes):
    def __len__(self):
        raise RuntimeError("no")

    def __iter__(self):
        raise RuntimeError("no")

    def __bytes__(self):
        raise RuntimeError("no")


def test_what_cannot_be_looked_at_is_not_kept():
    found = Guard().replace(Hostile(b"x" * 100))
    assert found.how.startswith("it could not be looked at")
    assert Guard().suspects(object()) == "unknown"


def test_a_bomb_is_expanded_to_its_limit_only():
    bomb = gzip.compress(bytes(64 << 20))
    assert len(archives.expanded(bomb, 0, archives.MARKS[b"\x1f\x8b\x08"][1])) == archives.MOST_BYTES
    assert Guard().replace(bomb) is None


def test_an_image_within_the_limit_is_found_and_one_behind_it_is_not():
    room = archives.MOST_BYTES
    assert Guard().suspects(gzip.compress(bytes(room - 65536) + file()))
    assert Guard().suspects(gzip.compress(bytes(room) + file())) == ""


@pytest.mark.parametrize("format_", formats.FORMATS, ids=lambda each: repr(each.mark))
def test_a_mark_and_nothing_behind_it_raises_nothing(format_):
    for length in (0, 1, 7, 40, 2000):
        head = bytes(format_.at) + format_.mark + b"\xff" * length
        assert formats.at(format_, head, 0) in (True, False)


def test_with_numpy_and_without_the_same_marks_are_found():
    code = """
import random, sys
from kernel_ext.checkpoint.sieve import Sieve
marks = [b"abc", b"\\0\\1\\2\\3", b"zz\\0z", b"GIF8"]
random.seed(4)
data = b"".join(random.choice([b"abc", b"\\0\\1\\2\\3", b"zz\\0z", b"GIF8", b"x", b"\\0"]) for _ in range(9000))
plain = sorted(Sieve(marks).hits(data))
import numpy
assert sorted(Sieve(marks).hits(data)) == plain
print(len(plain))
"""
    ran = in_the_kernel(code)
    assert int(ran) > 5000
    assert len(list(Sieve([b"abc"]).hits(b"abcabc"))) == 2


@pytest.mark.parametrize("first", ["from PIL import Image", "pass"])
def test_a_decoded_image_is_noticed_whenever_pillow_was_imported(first):
    code = f"""
import io
{first}
from kernel_ext.checkpoint.decoding import watch
seen = []
watch(lambda image: seen.append(image.size))
import sys
assert {first != "pass"} == ("PIL" in sys.modules)
from PIL import Image
out = io.BytesIO()
Image.new("RGB", (40, 30)).save(out, "PNG")
image = Image.open(out)
assert seen == []
image.load()
image.convert("L").tobytes()
print(seen)
"""
    assert in_the_kernel(code).strip() == "[(40, 30)]"


def in_the_kernel(code):
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{IMAGE.parents[1]}:{IMAGE / 'site-packages'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
