"""`kernel-gateway audit`: what an auditor and a data protection officer ask for, in a process of their own."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import text

from kernel_gateway.audit import heads
from kernel_gateway.audit.events import CellRan
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.seal import Seal
from kernel_gateway.auditing import ADOPTED, NO_LEDGER, UNCHECKED
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from tests.audit.conftest import bytes_on_disk

NOW = 1_795_262_400.0


@pytest.fixture
def audit(tmp_path):
    """`audit("verify", ...)` -> the finished process."""

    def run(*arguments):
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment = {**inherited, "HOME": str(tmp_path), "KG_STORE__FOLDER": str(tmp_path / "state")}
        line = [sys.executable, "-m", "kernel_gateway", "audit", *arguments]
        return subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)

    return run


@pytest.fixture
async def journal(tmp_path):
    """Of a service that runs, with ten cells of alice.liddell in it."""
    folder = tmp_path / "state"
    database = Database(folder / "data" / "gateway.db")
    journal = Journal(database, lambda: NOW, Seal.of(Keys(folder)))
    await journal.open()
    for number in range(10):
        journal.record(CellRan(organisation="acme", subject="alice.liddell", session_id="s1", cell=number))
    await journal.flush()
    yield journal
    await journal.close()
    await database.close()


def tamper(tmp_path, *statements):
    with closing(sqlite3.connect(tmp_path / "state" / "data" / "gateway.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_verify_says_that_all_is_well_and_what_it_did_not_check(audit, journal):
    done = audit("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["ok: records 1 to 10; 1 segment, 1 signed head", UNCHECKED]
    assert json.loads(audit("verify", "--json").stdout) == {
        "ok": True,
        "first": 1,
        "last": 10,
        "segments": 1,
        "heads": 1,
        "adopted": 0,
        "fault": None,
        "truncation_checked": False,
    }


async def test_verify_names_the_first_bad_record_and_fails(audit, journal, tmp_path):
    tamper(tmp_path, "UPDATE events SET session_id = 's2' WHERE seq IN (4, 7)")
    done = audit("verify")
    assert done.returncode == 1
    assert done.stdout.startswith("record 4: it was changed")
    as_json = audit("verify", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["fault"]["seq"]) == (1, 4)


async def test_an_exported_head_shows_that_the_newest_records_are_gone(audit, journal, tmp_path):
    exported = audit("head")
    assert (exported.returncode, json.loads(exported.stdout)["seq"]) == (0, 10)
    head = tmp_path / "head.json"
    head.write_text(exported.stdout)
    held = audit("verify", "--head", str(head))
    assert (held.returncode, held.stdout) == (0, "ok: records 1 to 10; 1 segment, 1 signed head\n")
    tamper(tmp_path, "DELETE FROM events WHERE seq > 8", "DELETE FROM event_heads WHERE seq > 8")
    assert audit("verify").returncode == 0
    gone = audit("verify", "--head", str(head))
    assert gone.returncode == 1
    assert gone.stdout == "record 9: it and what followed are missing: there is a signed head of record 10\n"


async def test_anybody_can_check_a_head_with_the_public_key(audit, journal):
    head = heads.parse(audit("head").stdout)
    key = load_pem_public_key(audit("head", "--public-key").stdout.encode())
    assert head.is_signed_by(key)


async def test_the_public_key_alone_checks_a_head_with_a_command(audit, journal, tmp_path):
    (tmp_path / "head.json").write_text(audit("head").stdout)
    (tmp_path / "key.pem").write_text(audit("head", "--public-key").stdout)
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    told = audit("verify", "--head", "head.json", "--public-key", "key.pem")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("ok: signed by this key; it tells of record 10 at 20")
    as_json = audit("verify", "--head", "head.json", "--public-key", "key.pem", "--json")
    assert json.loads(as_json.stdout)["seq"] == 10
    (tmp_path / "head.json").write_text((tmp_path / "head.json").read_text().replace('"seq": 10', '"seq": 9'))
    changed = audit("verify", "--head", "head.json", "--public-key", "key.pem")
    assert (changed.returncode, changed.stdout) == (1, "")
    assert "is not signed by this ledger" in changed.stderr
    (tmp_path / "elsewhere").rename(tmp_path / "state")


async def test_a_public_key_that_is_none_and_a_missing_head_are_said_in_one_line(audit, tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    (tmp_path / "head.json").write_text("{}")
    assert "`key.pem` is no public key" in audit("verify", "--head", "head.json", "--public-key", "key.pem").stderr
    assert "--head FILE" in audit("verify", "--public-key", "key.pem").stderr


async def test_no_head_is_exported_over_records_that_are_not_sound(audit, journal, tmp_path):
    journal.record(CellRan())
    await journal.flush()
    tamper(tmp_path, "UPDATE events SET at = 0 WHERE seq = 11")
    done = audit("head")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kernel-gateway: nothing is signed, for record 11 is not sound")


async def test_erase_leaves_no_name_on_the_disk_of_a_running_service(audit, journal, tmp_path):
    assert b"alice.liddell" in bytes_on_disk(tmp_path / "state" / "data")
    done = audit("erase", "--subject", "alice.liddell", "--org", "acme")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "erased from 1 segment: the ledger does not say any more who that was\n"
    assert b"alice.liddell" not in bytes_on_disk(tmp_path / "state" / "data")
    assert {event["subject"] for event in await journal.transcript("s1")} == {"<erased>"}
    assert audit("verify").returncode == 0


async def test_a_look_at_records_without_a_chain_makes_no_key_and_the_first_start_takes_them_over(audit, tmp_path):
    database = Database(tmp_path / "state" / "data" / "gateway.db")
    await database.run(lambda connection: connection.execute(text("SELECT 1")).all())
    await database.close()
    tamper(
        tmp_path,
        "CREATE TABLE events (seq BIGINT, at FLOAT, kind TEXT, session_id TEXT, organisation TEXT, body TEXT)",
        "CREATE INDEX events_of_session ON events (session_id, seq)",
        f"INSERT INTO events VALUES (1, {NOW}, 'searched', '', 'acme', '{{}}')",
    )
    assert NO_LEDGER in audit("verify").stderr
    database = Database(tmp_path / "state" / "data" / "gateway.db")
    journal = Journal(database, lambda: NOW, Seal.of(Keys(tmp_path / "state")))
    await journal.open()
    await journal.close()
    await database.close()
    told = audit("verify")
    assert (told.returncode, told.stdout.splitlines()[1]) == (0, ADOPTED.format(1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify",), "there is no ledger at"),
        (("head",), "there is no ledger at"),
        (("erase", "--subject", "a", "--org", "b"), "there is no ledger at"),
    ],
)
def test_what_is_not_there_is_said_in_one_line_and_nothing_is_made(audit, tmp_path, arguments, said):
    done = audit(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "state").exists()


async def test_a_head_that_cannot_be_read_is_named(audit, journal, tmp_path):
    done = audit("verify", "--head", "nowhere.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot read the head `nowhere.json`: No such file or directory; name another file" in done.stderr


async def test_a_head_of_another_ledger_is_refused(audit, journal, tmp_path):
    other = Seal.of(Keys(tmp_path / "other"))
    head = heads.sign(other.signing, heads.parse(audit("head").stdout).link, NOW)
    (tmp_path / "head.json").write_text(head.json())
    done = audit("verify", "--head", "head.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not signed by this ledger" in done.stderr
