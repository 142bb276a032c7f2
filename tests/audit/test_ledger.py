"""What was written can be proved: whoever can write the database but has no key changes nothing unseen."""

import sqlite3
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kernel_gateway.audit import heads, identities
from kernel_gateway.audit.chain import START, Link, Record, mac
from kernel_gateway.audit.events import CellRan, OperationCalled, Searched
from kernel_gateway.audit.seal import Seal
from kernel_gateway.errors import ConfigError
from tests.audit.conftest import DAY

COLUMNS = "seq, at, kind, session_id, organisation, body, mac"
FIELDS = st.tuples(st.integers(1, 2**53), st.floats(0, 1e11), *[st.text(max_size=5)] * 4).map(lambda f: Record(*f))


@given(FIELDS, FIELDS, st.binary(min_size=32, max_size=32))
def test_two_records_have_one_mac_only_if_they_are_the_same(one, other, key):
    assert (mac(key, START, one) == mac(key, START, other)) is (one == other)
    assert mac(key, START, one) != mac(key, Link(0, "1" * 64), one)


async def test_a_ledger_that_nobody_touched_verifies(ledger):
    for _ in range(3):
        await ledger.write(4)
    report = await ledger.report()
    assert (report.fault, report.first, report.last, report.segments) == (None, 1, 12, 1)
    assert report.heads >= 3, "each end of the service signs one"
    assert not report.truncation_checked


async def test_an_empty_ledger_verifies(ledger):
    await ledger.write(0)
    report = await ledger.report()
    assert (report.fault, report.first, report.last) == (None, 0, 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "at + 0.001"),
        ("kind", "'searched'"),
        ("session_id", "'s2'"),
        ("organisation", "'rival'"),
        ("body", """replace(body, '"cell":4', '"cell":5')"""),
        ("body", "body || ' '"),
        ("mac", "substr(mac, 2) || 'x'"),
        ("body", "x'00ff'"),
        ("at", "'soon'"),
        ("mac", "x'00ff'"),
        ("mac", "'\u00e9'"),
        ("mac", "(SELECT mac FROM events WHERE seq = 4)"),
    ],
)
async def test_an_edited_record_is_named(ledger, column, value):
    await ledger.write(12)
    ledger.sql(f"UPDATE events SET {column} = {value} WHERE seq = 5")
    assert (await ledger.report()).fault.seq == 5


async def test_a_removed_record_is_named_and_so_are_several(ledger):
    await ledger.write(12)
    ledger.sql("DELETE FROM events WHERE seq = 5")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (5, "it is missing")
    ledger.sql("DELETE FROM events WHERE seq IN (4, 6)")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (4, "it and those up to 6 are missing")


async def test_the_gap_cannot_be_closed_by_numbering_again(ledger):
    await ledger.write(12)
    ledger.sql("DELETE FROM events WHERE seq = 5", "UPDATE events SET seq = seq - 1 WHERE seq > 5")
    assert (await ledger.report()).fault.seq == 5


async def test_the_first_records_cannot_be_removed_as_if_their_time_were_over(ledger):
    await ledger.write(12)
    ledger.sql("DELETE FROM events WHERE seq <= 3")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (1, "it and those up to 3 are missing")
    ledger.sql("UPDATE event_segments SET first_seq = 4")
    assert (await ledger.report()).fault.seq == 4, "no signed head closes what was before"


async def test_records_up_to_a_signed_head_cannot_be_removed_as_if_their_time_were_over(ledger):
    await ledger.write(12, checkpoint_events=4)
    assert ledger.sql("SELECT seq FROM event_heads WHERE seq = 5")
    ledger.sql("DELETE FROM events WHERE seq <= 5", "UPDATE event_segments SET first_seq = 6")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (1, "it and those up to 5 were removed before their time")


async def test_records_that_changed_places_are_named(ledger):
    await ledger.write(12)
    ledger.sql(
        "UPDATE events SET seq = 100 WHERE seq = 5",
        "UPDATE events SET seq = 5 WHERE seq = 8",
        "UPDATE events SET seq = 8 WHERE seq = 100",
    )
    assert (await ledger.report()).fault.seq == 5


@pytest.mark.parametrize("seq", [3, 13])
async def test_a_record_that_was_put_in_is_named(ledger, seq):
    await ledger.write(12)
    for later in range(12, seq - 1, -1):
        ledger.sql(f"UPDATE events SET seq = {later + 1} WHERE seq = {later}")
    ledger.sql(
        f"INSERT INTO events ({COLUMNS}) SELECT {seq}, at, kind, session_id, organisation, body, mac"
        " FROM events WHERE seq = 1"
    )
    assert (await ledger.report()).fault.seq == seq


async def test_removed_newest_records_are_seen_against_a_head_from_outside_and_only_then(ledger):
    await ledger.write(12)
    exported = heads.sign(ledger.seal.signing, Link(*ledger.sql("SELECT seq, mac FROM events WHERE seq = 12")[0]), 0)
    assert (await ledger.report(exported)).fault is None
    ledger.sql("DELETE FROM events WHERE seq > 9")
    assert (await ledger.report()).fault.seq == 10, "the heads beside the records say so"
    ledger.sql("DELETE FROM event_heads WHERE seq > 9")
    unnoticed = await ledger.report()
    assert (unnoticed.fault, unnoticed.truncation_checked) == (None, False)
    report = await ledger.report(exported)
    assert (report.fault.seq, report.truncation_checked) == (10, True)
    assert report.fault.what == "it and what followed are missing: there is a signed head of record 12"


async def test_records_written_after_a_truncation_do_not_hide_it_from_an_old_head(ledger):
    await ledger.write(12)
    exported = heads.sign(ledger.seal.signing, Link(*ledger.sql("SELECT seq, mac FROM events WHERE seq = 12")[0]), 0)
    ledger.sql("DELETE FROM events WHERE seq > 9", "DELETE FROM event_heads WHERE seq > 9")
    await ledger.write(9)
    assert (await ledger.report()).fault is None
    fault = (await ledger.report(exported)).fault
    assert (fault.seq, fault.what) == (12, "a signed head says that it was another one")


async def test_a_forged_head_is_named(ledger):
    await ledger.write(12)
    stranger = heads.sign(Ed25519PrivateKey.generate(), Link(7, "0" * 64), 0)
    ledger.sql(
        f"INSERT INTO event_heads (seq, at, mac, signature, closing) VALUES (7, 0, '{stranger.mac}',"
        f" '{stranger.signature}', 0)"
    )
    assert (await ledger.report()).fault.seq == 7


async def test_without_the_key_nobody_can_make_records(ledger):
    await ledger.write(5)
    report = await ledger.report(seal=Seal(bytes(32), ledger.seal.signing))
    assert report.fault.seq == 1


async def test_a_changed_time_of_a_segment_is_named(ledger):
    await ledger.write(5)
    ledger.sql("UPDATE event_segments SET oldest_at = oldest_at + 1e9")  # never to be pruned
    assert (await ledger.report()).fault.seq == 1
    ledger.sql("DELETE FROM event_segments")
    assert (await ledger.report()).fault.seq == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET seq = 'five' WHERE seq = 5",
        "UPDATE event_heads SET seq = 'one', at = 'two' WHERE seq = 1",
        "UPDATE event_heads SET signature = x'00'",
        "UPDATE event_segments SET first_seq = 'one'",
        "UPDATE event_identities SET salt = 'none'",
    ],
)
async def test_no_value_of_another_type_stops_the_check(ledger, statement):
    await ledger.write(12)
    ledger.sql(statement)
    assert (await ledger.report()).fault is not None


async def test_a_name_that_was_put_into_the_place_of_another_is_named(ledger):
    await ledger.write(5)
    ledger.sql("UPDATE event_identities SET name = 'mallory' WHERE name = 'alice'")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (1, "another name was put into the place of the one it stands for")


async def test_a_name_that_was_removed_by_hand_is_named(ledger):
    await ledger.write(5)
    ledger.sql("DELETE FROM event_identities WHERE name = 'alice'")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (1, "the name it stands for was removed, and not by `audit erase`")


async def test_a_name_that_is_kept_beyond_its_segment_is_named_and_goes_with_the_next_pruning(ledger):
    await ledger.write(5)
    ledger.sql("UPDATE event_identities SET segment = 999999999 WHERE name = 'alice'")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (1, "the name it stands for is kept for another segment than its own")
    ledger.now += 40 * DAY
    await ledger.write(0)
    assert ledger.sql("SELECT name FROM event_identities") == []


async def test_a_name_that_no_record_stands_for_is_named(ledger):
    await ledger.write(5)
    alias = identities.alias_of("00" * 16, "acme", "carol")
    ledger.sql(f"INSERT INTO event_identities VALUES ('{alias}', 1, 'acme', 'carol', '{'00' * 16}')")
    assert (await ledger.report()).fault.what == "a name is kept for which no record stands"


async def test_a_name_that_comes_back_after_its_erasure_is_named(ledger):
    await ledger.write(5)
    ((alias, *rest),) = ledger.sql("SELECT * FROM event_identities WHERE name = 'alice'")
    await ledger.erase("alice")
    assert (await ledger.report()).fault is None
    ledger.sql(f"INSERT INTO event_identities VALUES {(alias, *rest)}")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (1, "the name it stands for was erased, and is there again")


async def test_a_record_before_the_first_is_named_and_not_shown(ledger):
    await ledger.write(3)
    async with ledger.journal() as journal:
        ledger.sql(f"INSERT INTO events ({COLUMNS}) SELECT 0.5, at, kind, 's1', '', body, 'x' FROM events LIMIT 1")
        assert len(await journal.transcript("s1")) == 3
        fault = (await ledger.report()).fault
        assert (fault.seq, fault.what) == (0, "a record was put in before the first")
        ledger.sql("UPDATE event_segments SET first_seq = 0 WHERE first_seq = 1")
        assert len(await journal.transcript("s1")) == 3
    assert (await ledger.report()).fault.seq == 0


async def test_it_verifies_beside_a_running_service_without_holding_it_up(ledger):
    async with ledger.journal() as journal:
        journal.record(Searched(hits=1))
        await journal.flush()
        reader = sqlite3.connect(ledger.path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        journal.record(Searched(hits=2))
        await journal.flush()
        assert (await ledger.report()).last == 2
        reader.close()


async def test_a_start_looks_at_the_newest_records_and_goes_on_with_what_it_found_said(ledger, caplog):
    await ledger.write(4)
    ledger.sql("DELETE FROM event_heads WHERE seq > 1", "UPDATE events SET at = at + 1 WHERE seq = 3")
    async with ledger.journal() as journal:
        assert journal.fault.startswith("record 3 of the ledger: ")
        assert "kernel-gateway audit verify" in caplog.text
        journal.record(Searched())
        await journal.flush()
    assert (await ledger.report()).fault.seq == 3


async def test_newest_records_that_are_gone_at_a_start_leave_a_gap(ledger):
    await ledger.write(4)
    ledger.sql("DELETE FROM events WHERE seq > 2")
    async with ledger.journal() as journal:
        assert journal.fault
        journal.record(Searched())
        await journal.flush()
    assert (await ledger.report()).fault.seq == 3


async def test_records_that_are_removed_under_the_running_service_leave_a_gap(ledger):
    async with ledger.journal(max_events_at_once=0) as journal:
        for _ in range(3):
            journal.record(Searched())
            await journal.flush()
        ledger.sql("DELETE FROM events WHERE seq = 3")
        journal.record(Searched())
        await journal.flush()
        assert journal.fault == "record 3 of the ledger was removed or changed under the running service"
    assert (await ledger.report()).fault.seq == 3


async def test_two_processes_continue_one_chain(ledger):
    async with ledger.journal() as one, ledger.journal() as other:
        for number in range(6):
            journal = one if number % 2 else other
            journal.record(CellRan(organisation="acme", subject="alice", session_id="s1", cell=number))
            await journal.flush()
        assert [event["cell"] for event in await one.transcript("s1")] == list(range(6))
        assert one.fault == other.fault == ""
    report = await ledger.report()
    assert (report.fault, report.last) == (None, 6)


async def test_a_head_is_signed_after_so_many_records_and_after_so_long(ledger):
    async with ledger.journal(checkpoint_events=5, checkpoint_seconds=3600) as journal:

        async def record():
            journal.record(Searched())
            await journal.flush()

        for _ in range(5):
            await record()
        signed = [1]  # where there was none, it is overdue
        assert [seq for (seq,) in ledger.sql("SELECT seq FROM event_heads ORDER BY seq")] == signed
        await record()
        signed.append(6)
        assert [seq for (seq,) in ledger.sql("SELECT seq FROM event_heads ORDER BY seq")] == signed
        await record()
        ledger.now += 3599
        await journal.maintain()
        assert [seq for (seq,) in ledger.sql("SELECT seq FROM event_heads ORDER BY seq")] == signed
        ledger.now += 1
        await journal.maintain()
        assert [seq for (seq,) in ledger.sql("SELECT seq FROM event_heads ORDER BY seq")] == [*signed, 7]


def test_a_head_is_read_as_it_was_written_and_anybody_with_the_public_key_can_check_it():
    key = Ed25519PrivateKey.generate()
    head = heads.sign(key, Link(9, "ab" * 32), 1_795_262_400.9)
    assert heads.parse(head.json()) == head
    assert head.signed_text() == (
        b'{"at":1795262400,"mac":"' + b"ab" * 32 + b'","purpose":"kernel-gateway ledger 1","seq":9}'
    )
    assert head.is_signed_by(key.public_key())
    assert not head.is_signed_by(Ed25519PrivateKey.generate().public_key())


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=30), st.sampled_from(["{}", "[]", "null", '{"seq":1}', '{"seq":"1","at":1}'])))
def test_what_is_no_head_is_refused_in_one_line(text):
    with pytest.raises(ConfigError) as refused:
        heads.parse(text)
    assert str(refused.value).count("\n") == 0


def without_a_chain(ledger, count, apart):
    """Records of a version without a chain, so many seconds apart, the last one now; the key is made by this start."""
    ledger.path.parent.mkdir(mode=0o700)
    ledger.seal = replace(ledger.seal, is_new=True)
    ledger.sql(
        "CREATE TABLE events (seq BIGINT PRIMARY KEY, at FLOAT, kind VARCHAR, session_id VARCHAR,"
        " organisation VARCHAR, body TEXT)",
        "CREATE INDEX events_of_session ON events (session_id, seq)",
        *(
            f"INSERT INTO events VALUES ({n}, {ledger.now + (n - count) * apart}, 'cell_ran', 's1', 'acme',"
            f""" '{{"cell":{n},"client":"cli","subject":"alice.of.old"}}')"""
            for n in range(1, count + 1)
        ),
    )


async def test_records_of_a_version_without_a_chain_are_taken_over(ledger):
    without_a_chain(ledger, 40, DAY)
    async with ledger.journal() as journal:
        journal.record(CellRan(organisation="acme", subject="alice.of.old", session_id="s1", cell=41))
        told = await journal.transcript("s1")
    assert [event["cell"] for event in told] == list(range(12, 42)), "what was too old is gone"
    assert {event["subject"] for event in told} == {"alice.of.old"}
    assert ledger.sql("SELECT count(*) FROM events WHERE kind = 'ledger_adopted'") == [(1,)]
    report = await ledger.report()
    assert (report.fault, report.first, report.adopted) == (None, 12, 40)
    await ledger.erase("alice.of.old")
    assert b"alice.of.old" not in ledger.on_disk()


async def test_few_records_of_a_version_without_a_chain_are_sound_at_once(ledger):
    without_a_chain(ledger, 2, 1)
    async with ledger.journal() as journal:
        assert journal.fault == ""
    assert (await ledger.report()).fault is None


async def test_records_without_a_chain_are_not_taken_over_where_there_has_been_a_ledger(ledger):
    without_a_chain(ledger, 2, 1)
    ledger.seal = replace(ledger.seal, is_new=False)
    with pytest.raises(ConfigError, match="the records in the database have no chain, but there has been a ledger"):
        await ledger.write()
    assert ledger.sql("SELECT count(*) FROM events") == [(2,)]


async def test_every_signed_head_is_added_to_a_file_outside(ledger, tmp_path):
    file = tmp_path / "heads.jsonl"
    await ledger.write(4, heads_file=file, checkpoint_events=2)
    await ledger.write(1, heads_file=file)
    told = [heads.parse(line) for line in file.read_text().splitlines()]
    assert {head.seq for head in told} == {seq for (seq,) in ledger.sql("SELECT seq FROM event_heads")}
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await ledger.report(*told)).truncation_checked
    ledger.sql("DELETE FROM events WHERE seq > 2", "DELETE FROM event_heads WHERE seq > 2")
    await ledger.write(1, heads_file=file)
    told = [heads.parse(line) for line in file.read_text().splitlines()]
    assert (await ledger.report()).fault is None
    assert (await ledger.report(*told)).fault.seq == 3, "a line that comes later does not take back an earlier one"


async def test_a_line_that_a_full_disk_cut_short_spoils_no_other(ledger, tmp_path):
    file = tmp_path / "heads.jsonl"
    await ledger.write(2, heads_file=file, checkpoint_events=2)
    whole = file.read_text()
    with file.open("a") as again:
        again.write(whole[:40])  # what fitted of the next one
    await ledger.write(1, heads_file=file)
    told = file.read_text()
    assert told.startswith(f"{whole}{whole[:40]}\n")
    assert heads.parse(told.splitlines()[-1]).seq == 3


async def test_a_file_of_heads_that_cannot_be_written_is_a_fault_until_it_can(ledger, tmp_path):
    async with ledger.journal(heads_file=tmp_path / "absent" / "heads", checkpoint_events=1) as journal:
        journal.record(Searched())
        await journal.flush()
        assert journal.fault == "the ledger's head cannot be written to `audit.heads_file`: No such file or directory"
        (tmp_path / "absent").mkdir()
        journal.record(Searched())
        await journal.flush()
        assert journal.fault == ""


async def test_a_head_that_this_ledger_did_not_sign_does_not_get_into_the_file(ledger, tmp_path):
    await ledger.write(1)
    ledger.sql("UPDATE event_heads SET mac = 'x'")
    await ledger.write(0, heads_file=tmp_path / "heads")
    assert not (tmp_path / "heads").exists()


async def test_a_call_names_its_caller_by_an_alias(ledger):
    async with ledger.journal() as journal:
        journal.record(OperationCalled(organisation="acme", subject="alice", client="alice", session_id="s1"))
        await journal.flush()
    ((body,),) = ledger.sql("SELECT body FROM events")
    assert "alice" not in body
    assert body.count("~") == 2
