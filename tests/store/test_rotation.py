"""Another key in the place of the one that wraps keys: whenever it dies, everything stays readable."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.rotation import rotate
from kernel_gateway.store.settings import StoreSettings
from kernel_gateway.store.vault import Vault
from tests.store.conftest import ALICE, OTHERS, Store


@pytest.fixture
async def filled(tmp_path):
    """(folder, what is in it): two sessions' checkpoints and one value of the vault."""
    store = Store(tmp_path)
    commits = [await store.put(mark, 1, b"small", os.urandom(200_000)) for mark in (ALICE, OTHERS)]
    await store.close()
    database = Database(tmp_path / "data" / "gateway.db")
    await Vault(database, Keys(tmp_path)).put("ses_v", "answer", "a", b"of the vault")
    await database.close()
    return tmp_path, commits


def key(folder, name="vault"):
    return (folder / "keys" / f"{name}.key").read_bytes()


async def opens(folder, commits):
    """Whether a new process reads it all."""
    store, database = Store(folder), Database(folder / "data" / "gateway.db")
    try:
        for mark, commit in zip((ALICE, OTHERS), commits, strict=True):
            await store.checkpoints.open(mark, commit, commit.anchor)
            await store.checkpoints.read(mark, [each for (each,) in store.sql(
                "SELECT name FROM checkpoint_references WHERE session_id = ?", mark.session_id)])  # fmt: skip
        return await Vault(database, Keys(folder)).get("ses_v", "answer", "a") == b"of the vault"
    finally:
        await store.close()
        await database.close()


async def test_everything_opens_with_the_new_key_and_nothing_with_the_old(filled):
    folder, commits = filled
    old = key(folder)
    assert await rotate(StoreSettings(folder=folder)) == 2 + 2 + 1  # organisations, sessions, and one of the vault
    assert key(folder) != old and not (folder / "keys" / "vault-next.key").exists()
    assert await opens(folder, commits)
    (folder / "keys" / "vault.key").write_bytes(old)
    with pytest.raises(GatewayError, match="the key `vault` is another"):
        await opens(folder, commits)


@pytest.mark.parametrize("step", ["the next key is made", "everything is wrapped", "the next key takes its place"])
async def test_a_death_after_any_step_loses_nothing_and_the_next_try_ends_it(filled, monkeypatch, step):
    folder, commits = filled
    old, replace = key(folder), Keys.replace

    class DeathError(Exception):
        pass

    def die(*args, **names):
        if step == "the next key takes its place":
            replace(*args, **names)
        raise DeathError

    with monkeypatch.context() as patched, pytest.raises(DeathError):
        patched.setattr(*((Vault, "rewrap") if step == "the next key is made" else (Keys, "replace")), die)
        await rotate(StoreSettings(folder=folder))
    assert await opens(folder, commits)
    assert (key(folder) == old) == (step != "the next key takes its place")
    store = Store(folder)  # a service that runs in between
    more = await store.put(ALICE, 2, b"meanwhile")
    await store.close()
    commits = [more, commits[1]]
    assert await rotate(StoreSettings(folder=folder)) == 5
    assert await opens(folder, commits) and key(folder) != old
    assert not (folder / "keys" / "vault-next.key").exists()


async def test_it_is_refused_while_a_gateway_runs_and_a_gateway_while_it_runs(filled):
    folder, commits = filled
    before = key(folder)
    with Keys(folder).held(), Keys(folder).held(), pytest.raises(ConfigError, match="a gateway runs on it; stop it"):
        await rotate(StoreSettings(folder=folder))
    with (
        Keys(folder).held(alone=True),
        pytest.raises(ConfigError, match="`kernel-gateway keys rotate` runs"),
        Keys(folder).held(),
    ):
        raise AssertionError
    assert key(folder) == before and await opens(folder, commits)


async def test_a_damaged_key_of_a_session_is_told_and_nothing_is_changed(filled):
    folder, commits = filled
    store = Store(folder)
    (before,) = store.sql("SELECT wrapped FROM checkpoint_sessions WHERE session_id = 'ses_a'")
    store.sql("UPDATE checkpoint_sessions SET wrapped = zeroblob(60) WHERE session_id = 'ses_a'")
    with pytest.raises(GatewayError, match="damaged or moved"):
        await rotate(StoreSettings(folder=folder))
    store.sql("UPDATE checkpoint_sessions SET wrapped = ? WHERE session_id = 'ses_a'", *before)
    await store.close()
    assert await opens(folder, commits)


async def test_without_a_database_there_is_nothing_to_change(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no database at .*name the service's folder"):
        await rotate(StoreSettings(folder=tmp_path))
    assert list(tmp_path.iterdir()) == []


async def test_a_copy_of_the_data_opens_nothing(filled, tmp_path):
    folder, commits = filled
    shutil.copytree(folder / "data", tmp_path / "stolen" / "data")
    with pytest.raises(GatewayError, match="the key `vault` is another"):
        await opens(tmp_path / "stolen", commits)


@pytest.mark.parametrize("inside", ["data", "data/keys", "data/../data/x", "link"])
def test_keys_within_the_data_are_refused(tmp_path, inside):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(ValidationError, match="lies in the folder of the data; name one outside"):
        StoreSettings(folder=tmp_path, keys_folder=tmp_path / inside)


def test_keys_lie_beside_the_data_or_where_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert StoreSettings(folder=tmp_path).keys == tmp_path
    assert StoreSettings(folder=tmp_path).chunks == tmp_path / "data" / "chunks"
    elsewhere = StoreSettings(folder=tmp_path, keys_folder=Path("~/secure"))
    Keys(elsewhere.keys).secret("vault")
    assert (tmp_path / "secure" / "keys" / "vault.key").exists()


def test_a_database_beside_the_keys_moves_into_the_folder_of_the_data_unless_it_is_in_use(tmp_path):
    store = StoreSettings(folder=tmp_path)
    store.leave_old_place()
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("CREATE TABLE kept (n)")
        old.execute("INSERT INTO kept VALUES (7)")
        old.commit()
        with pytest.raises(ConfigError, match="is in use"):
            store.leave_old_place()
    store.leave_old_place()
    assert not list(tmp_path.glob("gateway.db*"))
    with closing(sqlite3.connect(store.database)) as moved:
        assert moved.execute("SELECT n FROM kept").fetchall() == [(7,)]
    (tmp_path / "gateway.db").touch()  # beside the one that is in use it means nothing
    store.leave_old_place()
    assert (tmp_path / "gateway.db").exists()
