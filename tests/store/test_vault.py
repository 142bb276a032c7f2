import sqlite3

import pytest

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault

SECRET = b"the answer nobody else may read " * 4


@pytest.fixture
async def database(tmp_path):
    database = Database(tmp_path / "gateway.db")
    yield database
    await database.close()


@pytest.fixture
def vault(database, tmp_path):
    return Vault(database, Keys(tmp_path / "state"))


def on_disk(folder):
    return b"".join(path.read_bytes() for path in folder.glob("gateway.db*"))


def change(folder, statement, *values):
    with sqlite3.connect(folder / "gateway.db") as other:
        assert other.execute(statement, values).rowcount == 1
    other.close()


async def test_a_value_comes_back_and_a_later_one_replaces_it(vault):
    await vault.put("s1", "answer", "a", b"one")
    await vault.put("s1", "answer", "a", b"two")
    await vault.put("s1", "answer", "b", b"")
    assert await vault.get("s1", "answer", "a") == b"two"
    assert await vault.get("s1", "answer", "b") == b""
    assert await vault.names("s1", "answer") == ["a", "b"]


async def test_nothing_is_there_under_another_session_kind_or_name(vault):
    await vault.put("s1", "answer", "a", b"one")
    assert await vault.get("s2", "answer", "a") is None
    assert await vault.get("s1", "approval", "a") is None
    assert await vault.get("s1", "answer", "b") is None
    assert await vault.names("s2", "answer") == []


async def test_a_value_outlives_the_process(vault, database, tmp_path):
    await vault.put("s1", "answer", "a", SECRET)
    assert await Vault(database, Keys(tmp_path / "state")).get("s1", "answer", "a") == SECRET


async def test_the_files_of_the_database_hold_no_value(vault, tmp_path):
    await vault.put("s1", "answer", "a", SECRET)
    assert SECRET[:16] not in on_disk(tmp_path)


async def test_equal_values_do_not_look_equal(vault, tmp_path):
    for name in "ab":
        await vault.put("s1", "answer", name, SECRET)
    with sqlite3.connect(tmp_path / "gateway.db") as other:
        (one,), (two,) = other.execute("SELECT sealed FROM vault_values").fetchall()
    other.close()
    assert one != two


@pytest.mark.parametrize(
    ("column", "place"),
    [("session_id", ("s2", "answer", "a")), ("kind", ("s1", "k", "a")), ("name", ("s1", "answer", "b"))],
)
async def test_a_row_moved_elsewhere_is_refused(vault, tmp_path, column, place):
    await vault.put("s1", "answer", "a", SECRET)
    await vault.put("s2", "answer", "other", SECRET)
    value = dict(zip(("session_id", "kind", "name"), place, strict=True))[column]
    change(tmp_path, f"UPDATE vault_values SET {column} = ? WHERE name = 'a'", value)
    with pytest.raises(GatewayError, match="damaged or moved"):
        await vault.get(*place)


async def test_a_value_cut_short_is_refused(vault, tmp_path):
    await vault.put("s1", "answer", "a", SECRET)
    change(tmp_path, "UPDATE vault_values SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) AS BLOB)")
    with pytest.raises(GatewayError, match="damaged or moved"):
        await vault.get("s1", "answer", "a")


async def test_a_changed_bit_is_refused(vault, tmp_path):
    await vault.put("s1", "answer", "a", SECRET)
    with sqlite3.connect(tmp_path / "gateway.db") as other:
        (sealed,) = other.execute("SELECT sealed FROM vault_values").fetchone()
    other.close()
    change(tmp_path, "UPDATE vault_values SET sealed = ?", sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:])
    with pytest.raises(GatewayError, match="damaged or moved"):
        await vault.get("s1", "answer", "a")


async def test_another_installation_s_key_opens_nothing(vault, database, tmp_path):
    await vault.put("s1", "answer", "a", SECRET)
    with pytest.raises(GatewayError) as caught:
        await Vault(database, Keys(tmp_path / "elsewhere")).get("s1", "answer", "a")
    assert caught.value.code == "internal" and "s1" not in caught.value.message


async def test_one_session_s_key_does_not_open_another_s_values(vault, tmp_path):
    for session in ("s1", "s2"):
        await vault.put(session, "answer", "a", SECRET)
    with sqlite3.connect(tmp_path / "gateway.db") as other:
        other.execute("UPDATE vault_keys SET wrapped = (SELECT wrapped FROM vault_keys WHERE session_id = 's1')")
    other.close()
    with pytest.raises(GatewayError, match="damaged or moved"):
        await vault.get("s2", "answer", "a")


async def test_a_deleted_value_is_gone_and_the_others_stay(vault):
    await vault.put("s1", "answer", "a", b"one")
    await vault.put("s1", "answer", "b", b"two")
    await vault.delete("s1", "answer", "a")
    await vault.delete("s1", "answer", "never")
    assert await vault.get("s1", "answer", "a") is None
    assert await vault.get("s1", "answer", "b") == b"two"


async def test_a_session_is_shredded_with_its_key_from_every_file(vault, tmp_path):
    for session in ("s1", "s2"):
        await vault.put(session, "answer", "a", SECRET)
    with sqlite3.connect(tmp_path / "gateway.db") as other:
        (wrapped,) = other.execute("SELECT wrapped FROM vault_keys WHERE session_id = 's1'").fetchone()
        (sealed,) = other.execute("SELECT sealed FROM vault_values WHERE session_id = 's1'").fetchone()
    other.close()
    assert wrapped in on_disk(tmp_path) and sealed in on_disk(tmp_path)
    await vault.delete_session("s1")
    assert wrapped not in on_disk(tmp_path) and sealed not in on_disk(tmp_path)
    assert await vault.get("s1", "answer", "a") is None
    assert await vault.get("s2", "answer", "a") == SECRET


async def test_a_kind_can_be_shredded_for_all_sessions_but_some(vault, tmp_path):
    for session in ("s1", "s2", "s3"):
        await vault.put(session, "answer", "a", SECRET)
    await vault.put("s3", "approval", "p", SECRET)
    await vault.delete_kind("answer", keep={"s1"}.__contains__)
    assert [await vault.get(session, "answer", "a") for session in ("s1", "s2", "s3")] == [SECRET, None, None]
    assert await vault.get("s3", "approval", "p") == SECRET
    with sqlite3.connect(tmp_path / "gateway.db") as other:
        assert other.execute("SELECT session_id FROM vault_keys ORDER BY 1").fetchall() == [("s1",), ("s3",)]
    other.close()


async def test_a_transaction_that_fails_leaves_no_value(vault, database):
    await vault.prepare()

    def work(connection):
        vault.write(connection, "s1", "answer", "a", SECRET)
        raise LookupError

    with pytest.raises(LookupError):
        await database.run(work)
    assert await vault.get("s1", "answer", "a") is None


async def test_a_damaged_installation_key_is_told_before_anything_is_stored(vault, database, tmp_path):
    await vault.prepare()
    (tmp_path / "state" / "keys" / "vault.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="damaged"):
        await Vault(database, Keys(tmp_path / "state")).prepare()


async def test_a_value_sealed_for_later_is_stored_by_whose_transaction_it_is(vault, database):
    await vault.prepare()
    for name in ("first", "second", "third"):  # the first makes the session's key, the others have it
        write = vault.sealed("s1", "source", name, SECRET)
        assert await vault.get("s1", "source", name) is None
        await database.run(write)
        assert await vault.get("s1", "source", name) == SECRET
    assert await vault.all("s1", "source") == dict.fromkeys(("first", "second", "third"), SECRET)
    assert await vault.all("s2", "source") == {}
    await vault.delete_session("s1")
    await database.run(vault.sealed("s1", "source", "again", SECRET))
    assert await vault.all("s1", "source") == {"again": SECRET}
