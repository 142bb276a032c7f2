import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.database import _IN_A_ROW, Database, NotNowError
from kernel_gateway.store.settings import StoreSettings


@pytest.fixture
async def database(tmp_path):
    database = Database(tmp_path / "state" / "gateway.db")
    yield database
    await database.close()


def pragma(name):
    return lambda connection: connection.exec_driver_sql(f"PRAGMA {name}").scalar()


async def test_a_transaction_is_committed_when_run_returns(database, tmp_path):
    def work(connection):
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        return "done"

    assert await database.run(work) == "done"
    with sqlite3.connect(tmp_path / "state" / "gateway.db") as other:
        assert other.execute("SELECT x FROM t").fetchall() == [(1,)]
    other.close()


async def test_a_transaction_that_raises_leaves_nothing_behind(database):
    await database.run(lambda connection: connection.execute(text("CREATE TABLE t (x INTEGER UNIQUE)")))

    def work(connection):
        connection.execute(text("CREATE TABLE half (x INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (1), (1)"))

    with pytest.raises(IntegrityError):
        await database.run(work)
    tables = await database.run(lambda c: c.execute(text("SELECT name FROM sqlite_master WHERE type='table'")).all())
    assert tables == [("t",)]


async def test_statements_of_concurrent_callers_never_interleave(database):
    await created(database)

    def add_count(connection):
        count = connection.execute(text("SELECT count(*) FROM t")).scalar()
        connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": count})
        return threading.current_thread().name

    names = await asyncio.gather(*(database.run(add_count) for _ in range(50)))
    rows = await database.run(lambda connection: connection.execute(text("SELECT x FROM t ORDER BY x")).scalars().all())
    assert rows == list(range(50))
    assert len(set(names)) == 1
    assert threading.current_thread().name not in names


async def created(database):
    await database.run(lambda connection: connection.execute(text("CREATE TABLE t (x INTEGER)")))


def add_one(connection):
    connection.execute(text("INSERT INTO t VALUES (1)"))
    return connection.execute(text("SELECT count(*) FROM t")).scalar()


async def test_a_transaction_at_once_is_committed_when_it_returns(database, tmp_path):
    await created(database)
    assert database.at_once(add_one) == 1
    other = sqlite3.connect(tmp_path / "state" / "gateway.db")
    assert other.execute("SELECT x FROM t").fetchall() == [(1,)]
    other.close()


async def test_nothing_is_done_at_once_before_the_first_transaction_or_while_one_is_under_way(database):
    with pytest.raises(NotNowError):
        database.at_once(add_one)
    await created(database)
    started, go_on = threading.Event(), threading.Event()
    held = asyncio.ensure_future(database.run(lambda _: (started.set(), go_on.wait(10))))
    await asyncio.to_thread(started.wait, 10)
    with pytest.raises(NotNowError):
        database.at_once(add_one)
    go_on.set()
    await held
    assert database.at_once(add_one) == 1


async def test_nothing_waits_at_once_for_a_lock_and_run_waits_again(database, tmp_path):
    await created(database)
    other = sqlite3.connect(tmp_path / "state" / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotNowError):
        database.at_once(add_one)
    other.execute("ROLLBACK")
    other.close()
    assert await database.run(pragma("busy_timeout")) == 5000
    assert database.at_once(add_one) == 1


async def test_a_transaction_at_once_that_fails_leaves_nothing_behind(database):
    await created(database)

    def half(connection):
        add_one(connection)
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    with pytest.raises(NotNowError):
        database.at_once(half)
    assert database.at_once(add_one) == 1


async def test_the_thread_copies_the_log_back_now_and_then(database):
    await created(database)
    for count in range(_IN_A_ROW):
        assert database.at_once(add_one) == count + 1
    with pytest.raises(NotNowError):
        database.at_once(add_one)
    assert await database.run(pragma("wal_autocheckpoint")) == 1000
    assert database.at_once(pragma("wal_autocheckpoint")) == 0


async def test_nothing_is_done_at_once_where_every_commit_reaches_the_disk(tmp_path):
    database = Database(tmp_path / "gateway.db", survives_power_loss=True)
    await created(database)
    with pytest.raises(NotNowError):
        database.at_once(add_one)
    await database.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 1),
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("busy_timeout", 5000),
        ("temp_store", 2),
        ("trusted_schema", 0),
    ],
)
async def test_sqlite_is_opened_with(database, name, value):
    assert await database.run(pragma(name)) == value


async def test_every_commit_reaches_the_disk_when_power_loss_must_be_survived(tmp_path):
    database = Database(tmp_path / "gateway.db", survives_power_loss=True)
    assert await database.run(pragma("synchronous")) == 2
    await database.close()


async def test_only_this_user_can_open_the_folder_and_the_files(database, tmp_path):
    await database.run(lambda connection: connection.execute(text("CREATE TABLE t (x INTEGER)")))
    folder = tmp_path / "state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"gateway.db": 0o600, "gateway.db-wal": 0o600, "gateway.db-shm": 0o600}


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    (tmp_path / "gateway.db").touch(mode=0o644)
    database = Database(tmp_path / "gateway.db")
    await database.close()
    assert stat.S_IMODE((tmp_path / "gateway.db").stat().st_mode) == 0o600


def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match=r"others can write to the folder .* chmod 700"):
        Database(tmp_path / "open" / "gateway.db")


def test_a_link_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "gateway.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot use the file"):
        Database(tmp_path / "gateway.db")


async def test_deleted_rows_are_overwritten(database, tmp_path):
    await database.run(lambda connection: connection.execute(text("CREATE TABLE t (x TEXT)")))
    secret = "not-to-be-kept-" * 50
    await database.run(lambda connection: connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": secret}))
    await database.run(lambda connection: connection.execute(text("DELETE FROM t")))
    await database.close()
    files = list((tmp_path / "state").iterdir())
    assert [file.name for file in files] == ["gateway.db"]  # the log is gone with the last connection
    assert b"not-to-be-kept" not in files[0].read_bytes()


async def test_the_values_of_a_failed_statement_are_not_in_the_error(database):
    with pytest.raises(OperationalError) as failed:
        await database.run(
            lambda connection: connection.execute(text("INSERT INTO nowhere VALUES (:x)"), {"x": "s3cr3t"})
        )
    assert "s3cr3t" not in str(failed.value)


async def test_closing_finishes_what_was_asked_before_and_may_be_repeated(tmp_path):
    database = Database(tmp_path / "gateway.db")
    work = asyncio.ensure_future(
        database.run(lambda connection: connection.execute(text("CREATE TABLE t (x INTEGER)")).rowcount)
    )
    await asyncio.sleep(0)
    await database.close()
    await database.close()
    assert work.done() or await work is not None
    assert repr(database).endswith("gateway.db closed>")


async def test_a_caller_that_gives_up_does_not_undo_its_transaction(database):
    started, go_on = threading.Event(), threading.Event()

    def work(connection):
        started.set()
        go_on.wait(10)
        connection.execute(text("CREATE TABLE t (x INTEGER)"))

    task = asyncio.ensure_future(database.run(work))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await database.run(lambda connection: connection.execute(text("SELECT count(*) FROM t")).scalar()) == 0


async def test_two_processes_wait_for_each_other(database, tmp_path):
    await database.run(lambda connection: connection.execute(text("CREATE TABLE t (x INTEGER)")))
    script = (
        "import asyncio, sys; from pathlib import Path; from sqlalchemy import text\n"
        "from kernel_gateway.store.database import Database\n"
        "async def main():\n"
        "    database = Database(Path(sys.argv[1]))\n"
        "    for x in range(50): await database.run(lambda c: c.execute(text('INSERT INTO t VALUES (1)')))\n"
        "    await database.close()\n"
        "asyncio.run(main())"
    )
    path = str(tmp_path / "state" / "gateway.db")
    others = [await asyncio.create_subprocess_exec(sys.executable, "-c", script, path) for _ in range(2)]
    assert [await other.wait() for other in others] == [0, 0]
    assert await database.run(lambda connection: connection.execute(text("SELECT count(*) FROM t")).scalar()) == 100


def test_what_was_committed_survives_the_death_of_the_process(tmp_path):
    script = (
        "import asyncio, os, signal, sys; from pathlib import Path; from sqlalchemy import text\n"
        "from kernel_gateway.store.database import Database\n"
        "async def main():\n"
        "    database = Database(Path(sys.argv[1]))\n"
        "    await database.run(lambda c: c.execute(text('CREATE TABLE t (x INTEGER)')))\n"
        "    await database.run(lambda c: c.execute(text('INSERT INTO t VALUES (42)')))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "gateway.db")], check=False)
    assert ended.returncode == -signal.SIGKILL
    with sqlite3.connect(tmp_path / "gateway.db") as survivor:
        assert survivor.execute("SELECT x FROM t").fetchall() == [(42,)]
    survivor.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql+psycopg://app:s3cr3t@db/main", "`postgresql\\+psycopg` needs the Python package `psycopg`"),
        ("nosuch://app:s3cr3t@db/main", "no dialect called `nosuch`"),
        ("://app:s3cr3t@db", "the database URL cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line_without_its_password(url, message):
    with pytest.raises(ConfigError, match=message) as refused:
        Database(url)
    assert "s3cr3t" not in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_url_may_name_sqlite_too(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    assert await database.run(pragma("journal_mode")) == "wal"
    await database.close()


def test_the_state_folder_is_expanded_and_the_database_lives_in_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    settings = StoreSettings()
    assert settings.folder == Path("/home/someone/.local/state/kernel-gateway")
    assert settings.database == settings.folder / "data" / "gateway.db"


def test_a_configured_database_url_wins_and_is_in_no_repr():
    settings = StoreSettings(database_url="postgresql+psycopg://app:s3cr3t@db/main")
    assert settings.database == "postgresql+psycopg://app:s3cr3t@db/main"
    assert "s3cr3t" not in repr(settings)


@pytest.mark.parametrize("seconds", [-0.001, 60.001])
def test_a_busy_timeout_out_of_bounds_is_refused(seconds):
    with pytest.raises(ValidationError):
        StoreSettings(busy_timeout_seconds=seconds)


def test_the_busy_timeout_bounds_themselves_are_accepted():
    assert [StoreSettings(busy_timeout_seconds=each).busy_timeout_seconds for each in (0, 60)] == [0, 60]


def test_the_umask_does_not_matter(tmp_path):
    before = os.umask(0)
    try:
        database = Database(tmp_path / "new" / "gateway.db")
        asyncio.run(database.close())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "gateway.db").stat().st_mode) == 0o600


def on_disk(folder):
    """By another process: who closes a database's file loses SQLite's locks on it."""
    return subprocess.run(["cat", *sorted(folder.glob("gateway.db*"))], capture_output=True, check=True).stdout


async def test_what_was_deleted_is_on_no_page_and_in_no_log_once_it_is_forgotten(database, tmp_path):
    await database.run(lambda c: c.execute(text("CREATE TABLE t (x TEXT)")))
    await database.run(lambda c: c.execute(text("INSERT INTO t VALUES ('a-name-to-forget')")))
    await database.run(lambda c: c.execute(text("DELETE FROM t")))
    assert b"a-name-to-forget" in on_disk(tmp_path / "state"), "the log still has it"
    assert await database.forget()
    assert b"a-name-to-forget" not in on_disk(tmp_path / "state")


async def test_a_reader_can_only_put_off_forgetting(tmp_path):
    database = Database(tmp_path / "state" / "gateway.db", busy_timeout_seconds=0)
    await created(database)
    reader = sqlite3.connect(tmp_path / "state" / "gateway.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM sqlite_master").fetchall()
    await database.run(lambda c: c.execute(text("CREATE TABLE more (x TEXT)")))
    assert not await database.forget(patient=True)
    reader.close()
    assert await database.forget()
    await database.close()


async def test_who_only_reads_sees_one_moment_and_writes_nothing(database, tmp_path):
    await database.run(lambda c: c.execute(text("CREATE TABLE t (x INTEGER)")))
    looking = Database(tmp_path / "state" / "gateway.db", read_only=True)
    count = text("SELECT count(*) FROM t")
    seen, written = threading.Event(), threading.Event()

    def look(connection):
        before = connection.execute(count).scalar()
        seen.set()
        assert written.wait(20)
        return before, connection.execute(count).scalar()

    looked = asyncio.ensure_future(looking.run(look))
    assert await asyncio.to_thread(seen.wait, 20)
    await database.run(lambda c: c.execute(text("INSERT INTO t VALUES (1)")))
    written.set()
    assert await looked == (0, 0)
    with pytest.raises(OperationalError):
        await looking.run(lambda c: c.execute(text("INSERT INTO t VALUES (2)")))
    await looking.close()


@pytest.mark.parametrize("round_", range(40))
async def test_two_that_open_a_new_file_at_once_both_can(tmp_path, round_):
    databases = [Database(tmp_path / f"state-{round_}" / "gateway.db") for _ in range(2)]
    try:
        made = (each.run(lambda connection: connection.execute(text("select 1")).scalar()) for each in databases)
        assert await asyncio.gather(*made) == [1, 1]
    finally:
        for each in databases:
            await each.close()
