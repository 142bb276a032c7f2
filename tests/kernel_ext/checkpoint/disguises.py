"""What may be around the bytes of an image file, or of its pixels, when a session is kept.

`ENCODED_*` take the bytes of a file; `DECODED_*` take a Pillow image that was opened from a file in this process.
TUNED disguises were looked at while the guard was made; HELD_OUT ones were not; HOPELESS ones are not looked for.
"""

import array
import base64
import binascii
import bz2
import codecs
import collections
import ctypes
import gzip
import hashlib
import html
import io
import json
import lzma
import pickle
import quopri
import random
import tarfile
import textwrap
import types
import urllib.parse
import zipfile
import zlib

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

WORDS = "The quick brown fox jumps over the lazy dog. "


def b64(data):
    return base64.b64encode(data).decode()


def zipped(data, name="a.bin", method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("readme.txt", WORDS)
        archive.writestr(name, data)
    return out.getvalue()


def tarred(data, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        info = tarfile.TarInfo("a.bin")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def npz(data):
    out = io.BytesIO()
    np.savez_compressed(out, a=np.frombuffer(data, np.uint8))
    return out.getvalue()


def object_array(data):
    made = np.empty(1, object)
    made[0] = data
    return made


class Holder:
    def __init__(self, data):
        self.inner = {"deep": [data]}


def xored(data):
    key = hashlib.sha256(b"secret").digest()
    return bytes(each ^ key[at % 32] for at, each in enumerate(data))


def shuffled(data):
    order = list(range(len(data)))
    random.Random(3).shuffle(order)
    return bytes(data[each] for each in order)


def uuencoded(data):
    return b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))


ENCODED_TUNED = {
    "bytes": lambda d: d,
    "bytearray": bytearray,
    "text of the same numbers": lambda d: d.decode("latin-1"),
    "base64": b64,
    "base64 as bytes": base64.b64encode,
    "base64 in lines": lambda d: base64.encodebytes(d).decode(),
    "base64url": lambda d: base64.urlsafe_b64encode(d).decode(),
    "base64url without padding": lambda d: base64.urlsafe_b64encode(d).decode().rstrip("="),
    "base64 in a long text": lambda d: WORDS * 40 + b64(d) + WORDS * 40,
    "data URI in a page": lambda d: f'<p>{WORDS}</p><img alt="" src="data:image/x;base64,{b64(d)}">',
    "json": lambda d: json.dumps({"name": "a", "content": b64(d)}),
    "json with escaped slashes": lambda d: json.dumps({"content": b64(d)}).replace("/", "\\/"),
    "json with escaped lines": lambda d: json.dumps({"content": base64.encodebytes(d).decode()}),
    "hex": lambda d: d.hex(),
    "hex, capitals": lambda d: d.hex().upper(),
    "behind other bytes": lambda d: b"HEAD" * 100 + d,
    "between other bytes": lambda d: WORDS.encode() * 20 + d + WORDS.encode() * 20,
    "one of many values": lambda d: {"a": 1, "b": [2, {"c": d}], "d": WORDS},
    "file in memory": io.BytesIO,
    "numpy bytes": lambda d: np.frombuffer(d, np.uint8).copy(),
    "list of numbers": list,
    "zip": zipped,
    "zip, stored": lambda d: zipped(d, method=zipfile.ZIP_STORED),
    "gzip": gzip.compress,
    "tar": tarred,
    "pickle": lambda d: pickle.dumps({"a": [d]}),
    "object": Holder,
    "frame of bytes": lambda d: pd.DataFrame({"name": ["a"], "content": [d]}),
}
ENCODED_HELD_OUT = {
    "base85": lambda d: base64.b85encode(d).decode(),
    "ascii85": lambda d: base64.a85encode(d, adobe=True).decode(),
    "base32": lambda d: base64.b32encode(d).decode(),
    "percent": urllib.parse.quote_from_bytes,
    "quoted printable": lambda d: quopri.encodestring(d).decode(),
    "uuencode": lambda d: uuencoded(d).decode(),
    "base64 in lines of 100 with return": lambda d: "\r\n".join(textwrap.wrap(b64(d), 100)),
    "base64 behind one byte": lambda d: b64(b"x" + d),
    "base64 behind two bytes": lambda d: b64(b"xy" + d),
    "base64 twice": lambda d: b64(base64.b64encode(d)),
    "base64 of a zip": lambda d: b64(zipped(d)),
    "base64 of gzip": lambda d: b64(gzip.compress(d)),
    "base64 in quoted text of html": lambda d: html.escape(f'<img src="data:image/x;base64,{b64(d)}">'),
    "hex in groups": lambda d: d.hex(":"),
    "hex with spaces": lambda d: d.hex(" ", 4),
    "repr": repr,
    "numbers as text": lambda d: json.dumps(list(d)),
    "numbers with commas": lambda d: ",".join(map(str, d)),
    "utf-16 of base64": lambda d: b64(d).encode("utf-16"),
    "text of the same numbers in utf-8": lambda d: d.decode("latin-1").encode(),
    "tuple of numbers": tuple,
    "array of numbers": lambda d: array.array("B", d),
    "array of signed numbers": lambda d: array.array("b", d),
    "array of wide numbers": lambda d: array.array("i", list(d)),
    "ctypes": lambda d: bytes((ctypes.c_char * len(d)).from_buffer_copy(d)),
    "numpy wide numbers": lambda d: np.frombuffer(d, np.uint8).astype(np.int64),
    "numpy floats": lambda d: np.frombuffer(d, np.uint8).astype(np.float32),
    "numpy text": lambda d: np.array([d + b"."]),
    "numpy in rows": lambda d: np.resize(np.frombuffer(d, np.uint8), (len(d) // 16, 16)),
    "numpy objects": object_array,
    "series": lambda d: pd.Series([d, d]),
    "series of numbers": lambda d: pd.Series(list(d)),
    "series of base64": lambda d: pd.Series([b64(d), "x"]),
    "queue": lambda d: collections.deque([d]),
    "namespace": lambda d: types.SimpleNamespace(a=d),
    "lines of text": lambda d: base64.encodebytes(d).decode().splitlines(),
    "pieces": lambda d: [d[at : at + 1000] for at in range(0, len(d), 1000)],
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zlib": zlib.compress,
    "raw deflate": lambda d: zlib.compress(d)[2:-4],
    "tar.gz": lambda d: tarred(d, "w:gz"),
    "tar.xz": lambda d: tarred(d, "w:xz"),
    "zip in a zip": lambda d: zipped(zipped(d)),
    "gzip in a pickle": lambda d: pickle.dumps([gzip.compress(d)]),
    "npz": npz,
    "gzip behind text": lambda d: WORDS.encode() + gzip.compress(d),
    "old pickle": lambda d: pickle.dumps(d, protocol=0),
    "pickle of text": lambda d: pickle.dumps({"a": b64(d)}),
    "pickle of numbers": lambda d: pickle.dumps(list(d)),
    "reversed": lambda d: d[::-1],
    "one number": lambda d: int.from_bytes(d, "big"),
    "one number, little": lambda d: int.from_bytes(d, "little"),
    "numbers of two bytes": lambda d: np.frombuffer(d + b"\0" * (-len(d) % 2), np.uint16).copy(),
    "rot13 of base64": lambda d: codecs.encode(b64(d), "rot13"),
}
HOPELESS_ENCODED = {
    "xor with a secret": xored,
    "shuffled": shuffled,
    "each byte plus one": lambda d: bytes((each + 1) % 256 for each in d),
    "every second byte": lambda d: d[::2],
    "reversed base64": lambda d: b64(d)[::-1],
}


def pixels(image):
    return np.asarray(image.convert("RGB")).copy()


def unit(image):
    return pixels(image).astype(np.float32) / 255


def frame(image):
    return pd.DataFrame(pixels(image)[..., 0].astype(np.int64))


def colours(image):
    return pd.DataFrame(pixels(image).reshape(-1, 3).astype(np.int64), columns=["r", "g", "b"])


def standardised(image):
    return ((unit(image) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)


def batch(image):
    return np.stack([standardised(image), standardised(image)[::-1], standardised(image)[:, ::-1]]).transpose(
        0, 3, 1, 2
    )


DECODED_TUNED = {
    "image": lambda i: i,
    "grey image": lambda i: i.convert("L"),
    "copy, resized": lambda i: i.resize((64, 64)),
    "array": pixels,
    "grey array": lambda i: np.asarray(i.convert("L")).copy(),
    "channels first": lambda i: pixels(i).transpose(2, 0, 1).copy(),
    "batch": lambda i: np.stack([pixels(i)] * 3),
    "sixteen bits": lambda i: pixels(i)[..., 0].astype(np.uint16) * 257,
    "floats": lambda i: pixels(i).astype(np.float64),
    "floats of one": unit,
    "standardised": standardised,
    "one channel of floats": lambda i: unit(i)[..., 1],
    "slice of floats": lambda i: unit(i)[10:60, 20:90],
    "flat floats": lambda i: unit(i).ravel(),
    "flat numbers": lambda i: pixels(i).ravel(),
    "batch of floats": batch,
    "transposed floats": lambda i: unit(i).transpose(1, 0, 2).copy(),
    "frame": frame,
    "raw bytes": lambda i: i.tobytes(),
    "list of lists": lambda i: np.asarray(i.convert("L")).tolist(),
    "resized floats": lambda i: np.asarray(i.resize((64, 64)), np.float32) / 255,
}
DECODED_HELD_OUT = {
    "image of floats": lambda i: i.convert("F"),
    "mask": lambda i: pixels(i)[..., 0] > 128,
    "integers": lambda i: pixels(i).astype(np.int32),
    "integers of two bytes": lambda i: pixels(i).astype(np.int16) - 128,
    "half floats": lambda i: unit(i).astype(np.float16),
    "mirrored floats": lambda i: unit(i)[:, ::-1].copy(),
    "negative": lambda i: 1 - unit(i),
    "every second pixel": lambda i: unit(i)[::2, ::2].copy(),
    "crop of a channel": lambda i: unit(i)[20:70, 30:80, 2].copy(),
    "grey by weights": lambda i: unit(i) @ np.array([0.299, 0.587, 0.114], np.float32),
    "grey mean": lambda i: pixels(i).mean(axis=2),
    "gamma": lambda i: unit(i) ** 2.2,
    "blurred": lambda i: np.asarray(i.filter(ImageFilter.GaussianBlur(2)), np.float32),
    "rotated floats": lambda i: np.rot90(unit(i)).copy(),
    "rows of a batch": lambda i: np.stack([unit(i).ravel(), unit(i)[::-1].ravel()]),
    "crop and resize": lambda i: np.asarray(i.crop((8, 6, 112, 82)).resize((96, 96)), np.float32) / 255,
    "standardised by itself": lambda i: (pixels(i) - pixels(i).mean()) / pixels(i).std(),
    "standardised by channel, channels first": lambda i: standardised(i).transpose(2, 0, 1).copy(),
    "with noise": lambda i: unit(i) + np.random.default_rng(1).normal(scale=0.02, size=pixels(i).shape),
    "frame of colours": colours,
    "frame of floats": lambda i: pd.DataFrame(unit(i)[..., 1]),
    "series": lambda i: pd.Series(unit(i)[..., 0].ravel()),
    "list of colours": lambda i: [tuple(each) for each in pixels(i).reshape(-1, 3).tolist()],
    "list of floats": lambda i: unit(i).ravel().tolist(),
    "array of numbers": lambda i: array.array("B", i.tobytes()),
    "compressed raw bytes": lambda i: zlib.compress(i.tobytes()),
    "base64 of raw bytes": lambda i: b64(i.tobytes()),
    "sliced raw bytes": lambda i: i.tobytes()[5000:20000],
    "dictionary of channels": lambda i: {c: pixels(i)[..., n].astype(np.float32) for n, c in enumerate("rgb")},
    "padded floats": lambda i: np.pad(unit(i), ((8, 8), (8, 8), (0, 0))),
    "side by side": lambda i: np.concatenate([unit(i), unit(i)], axis=1),
    "masked array": lambda i: np.ma.array(unit(i), mask=unit(i) > 0.99),
    "memory of an array": lambda i: io.BytesIO(pixels(i).tobytes()),
    "complex": lambda i: unit(i).astype(np.complex64),
    "as text": lambda i: json.dumps(np.asarray(i.convert("L")).tolist()),
}
HOPELESS_DECODED = {
    "shuffled pixels": lambda i: np.random.default_rng(2).permutation(unit(i).ravel()),
    "spectrum": lambda i: np.fft.fft2(unit(i)[..., 0]),
    "main components": lambda i: np.linalg.svd(unit(i)[..., 0])[2],
    "differences of pixels": lambda i: np.diff(unit(i), axis=1),
}


def opened(seed, width=120, height=88):
    """A Pillow image that came from a file, as far as Pillow knows."""
    from image_kinds import photo  # beside this file

    out = io.BytesIO()
    photo(seed, width, height).save(out, "PNG")
    image = Image.open(io.BytesIO(out.getvalue()))
    image.load()
    return image
