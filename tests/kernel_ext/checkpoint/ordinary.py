"""What sessions hold that is no image, however much it may look like one to a careless guard."""

import array
import base64
import bz2
import collections
import csv
import datetime
import decimal
import fractions
import gzip
import hashlib
import io
import json
import lzma
import pickle
import random
import re
import secrets
import string
import tarfile
import types
import uuid
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

CHANCE = random.Random(5)
NUMBERS = np.random.default_rng(5)
HERE = Path(__file__)
SOURCE = "\n".join(path.read_text() for path in sorted(Path(json.__file__).parent.parent.glob("*.py"))[:60])
PROSE = " ".join(CHANCE.choices(re.findall(r"[a-z]{3,}", SOURCE), k=40_000))


def frame():
    rows = 3000
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "name": [f"customer {each}" for each in range(rows)],
            "price": NUMBERS.normal(100, 15, rows).round(2),
            "count": NUMBERS.poisson(3, rows),
            "when": pd.date_range("2026-01-01", periods=rows, freq="h"),
            "kind": pd.Categorical(NUMBERS.choice(list("abcd"), rows)),
            "paid": NUMBERS.random(rows) < 0.3,
        }
    )


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", PROSE)
        archive.writestr("code.py", SOURCE)
    return out.getvalue()


def tarred():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("notes.txt")
        info.size = len(PROSE)
        archive.addfile(info, io.BytesIO(PROSE.encode()))
    return out.getvalue()


def saved_arrays():
    out = io.BytesIO()
    np.savez_compressed(out, a=NUMBERS.normal(size=(100, 50)), b=np.arange(1000))
    return out.getvalue()


def distances():
    points = NUMBERS.normal(size=(100, 3))
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))


def one_hot(kind):
    made = np.zeros((200, 40), kind)
    made[np.arange(200), NUMBERS.integers(0, 40, 200)] = 1
    return made


def transitions():
    made = NUMBERS.random((64, 64))
    return made / made.sum(axis=1, keepdims=True)


def records():
    return [
        {"id": uuid.UUID(int=CHANCE.getrandbits(128)), "score": CHANCE.random(), "tags": ["a", "b"], "note": PROSE[:50]}
        for _ in range(2000)
    ]


def written_csv():
    out = io.StringIO()
    csv.writer(out).writerows([[n, CHANCE.random(), CHANCE.choice("abc")] for n in range(3000)])
    return out


def waves():
    time = np.linspace(0, 20, 4000)
    return np.stack([np.sin(time * k) for k in range(1, 9)])


def smoothed():
    return np.convolve(NUMBERS.normal(size=20_000), np.ones(50) / 50)


def jwt():
    parts = [base64.urlsafe_b64encode(NUMBERS.bytes(size)).decode().rstrip("=") for size in (30, 200, 64)]
    return ".".join(parts)


ORDINARY = {
    "nothing": lambda: None,
    "number": lambda: 2**4000 + 12345,
    "factorial": lambda: __import__("math").factorial(3000),
    "short text": lambda: "hello",
    "prose": lambda: PROSE,
    "source": lambda: SOURCE,
    "source as bytes": lambda: SOURCE.encode(),
    "list of words": lambda: PROSE.split(),
    "lines of source": lambda: SOURCE.splitlines(),
    "text in many alphabets": lambda: "Ünïcödé текст 文字 العربية 😀 " * 3000,
    "french": lambda: "été là où çà et là près de la forêt où naît l'œuvre " * 2000,
    "json": lambda: json.dumps([{"id": n, "name": f"n{n}", "x": CHANCE.random()} for n in range(3000)]),
    "json of numbers": lambda: json.dumps(list(range(256)) * 40),
    "json of scores": lambda: json.dumps([CHANCE.randrange(256) for _ in range(20_000)]),
    "csv": written_csv,
    "html": lambda: "<table>" + "".join(f'<tr class="row-{n}"><td>{n}</td></tr>' for n in range(3000)) + "</table>",
    "svg drawing": lambda: '<svg xmlns="http://www.w3.org/2000/svg">' + '<path d="M0 0L9 9"/>' * 500 + "</svg>",
    "links": lambda: [f"https://example.com/a%20b/{n}?q=%C3%A9t%C3%A9&image=data" for n in range(3000)],
    "random bytes": lambda: NUMBERS.bytes(1 << 20),
    "random bytes in pieces": lambda: [NUMBERS.bytes(4000) for _ in range(200)],
    "keys": lambda: {secrets.token_hex(16): secrets.token_urlsafe(64) for _ in range(2000)},
    "digests": lambda: [hashlib.sha256(bytes([n % 256])).digest() for n in range(3000)],
    "hex digests": lambda: "\n".join(hashlib.sha512(str(n).encode()).hexdigest() for n in range(2000)),
    "tokens": lambda: [jwt() for _ in range(500)],
    "base64 of text": lambda: base64.b64encode(SOURCE.encode()),
    "base64 of random bytes in lines": lambda: base64.encodebytes(NUMBERS.bytes(200_000)).decode(),
    "base64 of floats": lambda: base64.b64encode(NUMBERS.normal(size=20_000).tobytes()).decode(),
    "zip of texts": zipped,
    "tar.gz of texts": tarred,
    "saved arrays": saved_arrays,
    "gzip": lambda: gzip.compress(SOURCE.encode()),
    "bz2": lambda: bz2.compress(SOURCE.encode()),
    "xz": lambda: lzma.compress(SOURCE.encode()),
    "zlib": lambda: zlib.compress(SOURCE.encode()),
    "pickle": lambda: pickle.dumps(records()),
    "signatures of formats": lambda: {
        "png": b"\x89PNG\r\n\x1a\n",
        "jpeg": b"\xff\xd8\xff",
        "gif": [b"GIF87a", b"GIF89a"],
        "webp": (b"RIFF", b"WEBP"),
        "tiff": [b"II*\x00", b"MM\x00*"],
        "heic": b"ftypheic",
        "pdf": b"%PDF-1.7",
        "bmp": b"BM",
        "zip": b"PK\x03\x04",
    },
    "names of files": lambda: [f"photo_{n}.jpeg" for n in range(3000)] + ["image/png", "data:image/png;base64,"],
    "wave file": lambda: b"RIFF" + b"\x24\x7d\0\0WAVEfmt " + NUMBERS.normal(0, 3000, 16_000).astype("<i2").tobytes(),
    "video box": lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + NUMBERS.bytes(10_000),
    "pdf of text": lambda: (
        b"%PDF-1.4\n1 0 obj\n<< /Type /Page >>\nstream\nBT (words) Tj ET\nendstream\n" + PROSE.encode()
    ),
    "executable": lambda: Path(np.core._multiarray_umath.__file__ if hasattr(np, "core") else np.__file__).read_bytes()[
        : 1 << 20
    ],
    "list of integers": lambda: list(range(20_000)),
    "list of small integers": lambda: [CHANCE.randrange(256) for _ in range(20_000)],
    "list of counts": lambda: [min(255, int(CHANCE.expovariate(0.1))) for _ in range(20_000)],
    "list of floats": lambda: [CHANCE.random() for _ in range(20_000)],
    "list of lists of counts": lambda: [[CHANCE.randrange(20) for _ in range(50)] for _ in range(100)],
    "points": lambda: [(CHANCE.randrange(256), CHANCE.randrange(256), CHANCE.randrange(256)) for _ in range(5000)],
    "records": records,
    "sets and queues": lambda: [
        {1, 2, 3},
        frozenset("abc"),
        collections.deque(range(5000)),
        collections.Counter(PROSE),
    ],
    "dates and decimals": lambda: [
        (datetime.date(2026, 1, 1), decimal.Decimal(n) / 7, fractions.Fraction(n, 9)) for n in range(500)
    ],
    "array of numbers": lambda: array.array("d", [CHANCE.random() for _ in range(20_000)]),
    "array of bytes": lambda: array.array("B", NUMBERS.bytes(20_000)),
    "file of text in memory": lambda: io.BytesIO(SOURCE.encode()),
    "namespace": lambda: types.SimpleNamespace(a=string.printable * 100, b=NUMBERS.bytes(3000)),
    "random floats": lambda: NUMBERS.normal(size=(300, 200)),
    "random floats of one": lambda: NUMBERS.random((64, 64, 3)),
    "random floats, narrow": lambda: NUMBERS.normal(size=(128, 96)).astype(np.float32),
    "half floats": lambda: NUMBERS.normal(size=(128, 96)).astype(np.float16),
    "weights": lambda: [NUMBERS.normal(0, 0.05, (16, 3, 32, 32)).astype(np.float32), np.zeros(64, np.float32)],
    "quantised weights": lambda: NUMBERS.integers(-127, 128, (64, 64)).astype(np.int8),
    "embeddings": lambda: NUMBERS.normal(size=(500, 384)).astype(np.float32),
    "correlations": lambda: np.corrcoef(NUMBERS.normal(size=(50, 200))),
    "covariances": lambda: np.cov(NUMBERS.normal(size=(60, 500)).cumsum(axis=1)),
    "distances": distances,
    "transitions": transitions,
    "counts": lambda: NUMBERS.poisson(4, (100, 80)),
    "counts of words": lambda: NUMBERS.poisson(0.2, (200, 300)),
    "scores up to 255": lambda: NUMBERS.integers(0, 256, (100, 100)),
    "scores up to 255 as floats": lambda: NUMBERS.integers(0, 256, (100, 100)).astype(float),
    "one-hot floats": lambda: one_hot(np.float32),
    "one-hot small": lambda: one_hot(np.uint8),
    "one-hot booleans": lambda: one_hot(bool),
    "adjacency": lambda: NUMBERS.random((100, 100)) < 0.1,
    "triangle": lambda: np.tri(64, dtype=bool),
    "identity": lambda: np.eye(100),
    "multiplication table": lambda: np.outer(np.arange(100), np.arange(100)),
    "ramp": lambda: np.linspace(0, 1, 128 * 128).reshape(128, 128),
    "mesh": lambda: np.stack(np.meshgrid(np.arange(64), np.arange(64))),
    "checkers": lambda: np.indices((64, 64)).sum(axis=0) % 2,
    "labels": lambda: NUMBERS.integers(0, 10, 50_000).astype(np.uint8),
    "codes": lambda: NUMBERS.integers(0, 200, 50_000).astype(np.int16),
    "bytes of chance, flat": lambda: np.frombuffer(NUMBERS.bytes(50_000), np.uint8),
    "narrow table of bytes": lambda: NUMBERS.integers(0, 256, (5000, 8)).astype(np.uint8),
    "thumbnail": lambda: NUMBERS.integers(0, 256, (16, 16, 3)).astype(np.uint8),
    "ports": lambda: NUMBERS.integers(0, 65536, (100, 40)).astype(np.uint16),
    "identifiers": lambda: NUMBERS.integers(0, 2**63, 10_000),
    "times": lambda: np.arange("2026-01", "2028-01", dtype="datetime64[h]"),
    "texts in an array": lambda: np.array(PROSE.split()[:2000]),
    "objects in an array": lambda: np.array([{"a": n} for n in range(500)]),
    "structured array": lambda: np.array([(n, n / 3) for n in range(3000)], dtype=[("id", "i4"), ("x", "f8")]),
    "missing values": lambda: np.where(NUMBERS.random((100, 100)) < 0.1, np.nan, 1.0),
    "random walk": lambda: NUMBERS.normal(size=30_000).cumsum(),
    "smoothed": smoothed,
    "waves": waves,
    "histogram": lambda: np.histogram(NUMBERS.integers(0, 256, 10_000), bins=256),
    "spectrogram": lambda: np.abs(np.fft.rfft(NUMBERS.normal(size=(100, 256)))),
    "attention": lambda: np.tril(NUMBERS.random((4, 64, 64))).astype(np.float32),
    "frame": frame,
    "frame of measurements": lambda: pd.DataFrame(NUMBERS.normal(20, 3, (1000, 40))).round(1),
    "frame of counts": lambda: pd.DataFrame(NUMBERS.poisson(50, (500, 40))),
    "frame of booleans": lambda: pd.get_dummies(pd.Series(NUMBERS.choice(list("abcdefgh"), 2000))),
    "ratings": lambda: pd.DataFrame(NUMBERS.integers(1, 6, (300, 60))),
    "prices": lambda: pd.Series(NUMBERS.normal(size=5000).cumsum().round(2), index=pd.date_range("2020", periods=5000)),
    "groups": lambda: frame().groupby("kind").price.describe(),
    "pivot": lambda: frame().pivot_table(index="count", columns="kind", values="price"),
}
