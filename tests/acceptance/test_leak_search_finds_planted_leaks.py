"""The leak search itself: it finds what was planted in every form and place, and nothing where nothing was planted."""

import base64
import gzip
import io
import json
import os
import random
import socket
import sqlite3
import tempfile
import zipfile
import zlib
from pathlib import Path
from urllib.parse import quote, quote_from_bytes

import pytest

from tests.leaks import Needle, needle, needles_of_image, search

IMAGE = random.Random(7).randbytes(60_000)
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWEtdG9rZW4tZm9yLXRlc3Rz"
URL = "http://127.0.0.1:9000/v1/files/8f3a?exp=1795250000&kid=k1&op=get&sig=Zm9yLXRlc3RzLW9ubHktYnV0LWxvbmctZW5vdWdo"
WINDOW = IMAGE[20_000:20_200]  # a short excerpt is a leak too
NEEDLES = [*needles_of_image(IMAGE), needle("window", WINDOW[60:108]), needle("token", TOKEN), needle("url", URL)]


def clean_tree(root: Path) -> Path:
    """What a run leaves behind when nothing leaks: logs, a database, an archive, binaries."""
    rng = random.Random(1)
    (root / "logs").mkdir(parents=True)
    lines = [f"2026-11-21 INFO job {rng.getrandbits(128):032x} done in {rng.randrange(999)} ms" for _ in range(2000)]
    (root / "logs" / "gateway.log").write_text("\n".join(lines))
    (root / "blob.bin").write_bytes(rng.randbytes(200_000))
    (root / "digests.txt").write_text("\n".join(base64.b64encode(rng.randbytes(48)).decode() for _ in range(500)))
    (root / "old.log.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    database = sqlite3.connect(root / "state.db")
    database.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body TEXT)")
    database.executemany("INSERT INTO events (body) VALUES (?)", [(line,) for line in lines])
    database.commit()
    database.close()
    return root


@pytest.fixture
def root(tmp_path):
    return clean_tree(tmp_path / "run")


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "nothing here")
        archive.writestr("inner/data", data)
    return file.getvalue()


def wrapped(text: bytes) -> bytes:
    return b"\n".join(text[at : at + 76] for at in range(0, len(text), 76))


BYTE_FORMS = {
    "raw": lambda data: data,
    "base64": lambda data: base64.b64encode(b"" + data),
    "base64 one byte later": lambda data: base64.b64encode(b"a" + data + b"z"),
    "base64 two bytes later": lambda data: base64.b64encode(b"ab" + data + b"z"),
    "base64 after its own alphabet": lambda data: b"path/to/data" + base64.b64encode(data),
    "urlsafe base64": lambda data: base64.urlsafe_b64encode(b"x" + data).rstrip(b"="),
    "base64 in lines": lambda data: wrapped(base64.b64encode(b"head" + data)),
    "base64 in JSON with escaped lines": lambda data: json.dumps(wrapped(base64.b64encode(data)).decode()).encode(),
    "base64 with escaped slashes": lambda data: base64.b64encode(data).replace(b"/", b"\\/"),
    "lower hex": lambda data: data.hex().encode(),
    "upper hex": lambda data: b"0x" + data.hex().upper().encode(),
    "hex one digit later": lambda data: b"f" + data.hex().encode(),
    "percent": lambda data: b"data=" + quote_from_bytes(data, safe="").encode(),
    "lower percent": lambda data: b"".join(b"%%%02x" % byte for byte in data),
    "repr": lambda data: repr(data).encode(),
    "repr in JSON": lambda data: json.dumps(repr(data)).encode(),
    "JSON of Latin-1": lambda data: json.dumps(data.decode("latin-1")).encode(),
    "UTF-8 of Latin-1": lambda data: data.decode("latin-1").encode(),
    "UTF-16 of base64": lambda data: base64.b64encode(data).decode().encode("utf-16"),
    "gzip": lambda data: gzip.compress(b"before" + data + b"after"),
    "zlib": lambda data: zlib.compress(b"before" + data, 1),
    "zip": zipped,
    "zip in zip": lambda data: zipped(zipped(data)),
    "base64 of gzip": lambda data: base64.b64encode(gzip.compress(data)),
    "gzip of base64": lambda data: gzip.compress(base64.b64encode(data)),
    "gzip of percent": lambda data: gzip.compress(quote_from_bytes(data).encode()),
    "zlib cut short": lambda data: zlib.compress(data + random.Random(2).randbytes(5000))[:4000],
}
TEXT_FORMS = {
    "raw": lambda text: text.encode(),
    "UTF-16 little": lambda text: text.encode("utf-16-le"),
    "UTF-16 big": lambda text: text.encode("utf-16-be"),
    "UTF-16 at an odd offset": lambda text: b"\x01" + text.encode("utf-16-le"),
    "percent": lambda text: quote(text, safe="").encode(),
    "percent in UTF-16": lambda text: quote(text, safe="").encode("utf-16"),
    "percent twice": lambda text: quote(quote(text, safe=""), safe="").encode(),
    "base64": lambda text: base64.b64encode(b"Bearer " + text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "JSON": lambda text: json.dumps({"u": text}).replace("/", "\\/").replace("&", "\\u0026").encode(),
    "gzip of UTF-16": lambda text: gzip.compress(text.encode("utf-16")),
}


def test_a_clean_tree_has_no_leaks(root):
    assert search([root], NEEDLES) == []


@pytest.mark.parametrize("form", BYTE_FORMS)
@pytest.mark.parametrize("place", ["alone", "in a log", "in the middle of a binary"])
def test_an_excerpt_of_the_image_is_found_in_every_form(root, form, place):
    data = BYTE_FORMS[form](WINDOW)
    noise = random.Random(3).randbytes(3001)
    around = {
        "alone": (b"", b""),
        "in a log": (b"INFO got data: '", b"' ok\n"),
        "in the middle of a binary": (noise, noise),
    }
    if place == "in the middle of a binary" and form.startswith("UTF-8"):
        noise = b"\x00text\n"
        around[place] = (noise, noise)
    before, after = around[place]
    path = root / "logs" / "gateway.log.1"
    path.write_bytes(before + data + after)
    leaks = search([root], NEEDLES)
    assert {(leak.path, leak.needle_name) for leak in leaks} >= {(path, "window")}, form
    assert {leak.path for leak in leaks} == {path}
    assert all(0 <= leak.offset < path.stat().st_size for leak in leaks)


@pytest.mark.parametrize("form", TEXT_FORMS)
@pytest.mark.parametrize("secret", ["token", "url"])
def test_a_token_and_a_signed_url_are_found_in_every_form(root, form, secret):
    path = root / "cache.dat"
    path.write_bytes(b"line one\n" + TEXT_FORMS[form]({"token": TOKEN, "url": URL}[secret]) + b"\nline three\n")
    assert {(leak.path, leak.needle_name) for leak in search([root], NEEDLES)} == {(path, secret)}


def test_a_leak_is_found_in_a_nested_folder_and_in_a_temporary_folder(root):
    nested = root / "a" / "b" / ".hidden" / "c"
    nested.mkdir(parents=True)
    (nested / "d").write_bytes(IMAGE)
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "upload-1").write_bytes(b"\0" * 5000 + WINDOW)
        found = {leak.path for leak in search([root, Path(temporary)], NEEDLES)}
    assert found == {nested / "d", Path(temporary) / "upload-1"}


def test_a_leak_is_found_in_the_name_of_a_file_and_in_the_target_of_a_link(root):
    (root / quote(URL, safe="")).touch()
    (root / "link").symlink_to(f"/nowhere/{TOKEN}")
    assert {leak.form for leak in search([root], NEEDLES)} == {"name of the file > percent", "name of the file"}


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("CREATE TABLE IF NOT EXISTS cells (id INTEGER PRIMARY KEY, body BLOB)")
    return connection


def values_of(path: Path) -> list[Needle]:
    return [leak.needle_name for leak in search([path.parent], NEEDLES) if leak.path.name.startswith(path.name)]


@pytest.mark.parametrize("form", ["raw", "base64 one byte later", "gzip", "zlib", "zip"])
def test_a_leak_is_found_in_a_row_that_spans_many_pages(root, form):
    path = root / "cells.db"
    connection = connect(path)
    connection.execute("INSERT INTO cells (body) VALUES (?)", (b"head",))
    connection.execute("INSERT INTO cells (body) VALUES (?)", (BYTE_FORMS[form](IMAGE),))
    connection.close()
    assert len(set(values_of(path))) == len(needles_of_image(IMAGE)) + 1  # every window, also those cut by a page


@pytest.mark.parametrize("form", ["raw", "base64", "gzip", "UTF-16 of base64"])
def test_a_leak_is_found_in_a_deleted_row_that_is_now_a_free_page(root, form):
    path = root / "cells.db"
    connection = connect(path)
    connection.executemany("INSERT INTO cells (body) VALUES (?)", [(b"x" * 900,)] * 50)
    connection.execute("INSERT INTO cells (body) VALUES (?)", (BYTE_FORMS[form](WINDOW),))
    connection.execute("DELETE FROM cells")
    assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 0
    assert connection.execute("SELECT count(*) FROM cells").fetchone()[0] == 0
    connection.close()
    assert "window" in values_of(path)


@pytest.mark.parametrize("form", ["raw", "gzip"])
def test_a_leak_is_found_in_the_write_ahead_log_before_a_checkpoint(root, form):
    path = root / "cells.db"
    connection = connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("INSERT INTO cells (body) VALUES (?)", (BYTE_FORMS[form](IMAGE),))
    assert IMAGE[:64] not in path.read_bytes()
    found = values_of(path)
    connection.close()
    assert len(set(found)) > len(needles_of_image(IMAGE)) * 0.9


def test_a_database_with_secure_delete_keeps_nothing_of_a_deleted_row(root):
    path = root / "cells.db"
    connection = connect(path)
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("INSERT INTO cells (body) VALUES (?)", (IMAGE,))
    connection.execute("DELETE FROM cells")
    connection.close()
    assert values_of(path) == []


def test_sockets_and_pipes_are_passed_over(root):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "s"))
        os.mkfifo(root / "pipe")
        assert search([root], NEEDLES) == []


def test_a_file_that_cannot_be_read_is_reported():
    (leak,) = search([Path("/proc/self/mem")], NEEDLES)
    assert (leak.form, leak.needle_name) == ("unreadable", "")


def test_a_root_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        search([tmp_path / "typo"], NEEDLES)


def test_a_needle_that_could_be_found_by_chance_is_refused(root):
    with pytest.raises(ValueError, match="fewer than 16"):
        search([root], [needle("pin", "1234")])


def test_the_windows_of_an_image_are_spread_over_it_and_leave_out_what_is_common():
    needles = needles_of_image(b"\0" * 30_000 + IMAGE)
    starts = [int(each.name.split("@")[1]) for each in needles]
    assert 30 < len(starts) < 64
    assert min(starts) >= 30_000 - 48
    assert max(starts) == 90_000 - 48


def test_no_secret_is_in_the_repr_of_a_needle():
    assert TOKEN not in repr(needle("token", TOKEN))
