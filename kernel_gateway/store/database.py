"""One database, and the one connection that speaks to it: on a thread of its own, or at once where nothing can wait.

Durability: a transaction that `run` has returned from survives the death of this process at any instant. With SQLite
in WAL mode and `synchronous=NORMAL` a power cut or a kernel crash never corrupts the file, but can cost the latest
transactions: those since the last WAL checkpoint (about 4 MB of pages) that the kernel had not written back yet.
`survives_power_loss` buys those too, for one disk flush per transaction.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.private import private_file, private_folder

T = TypeVar("T")
P = ParamSpec("P")

_CHECKPOINT_PAGES = 1000  # of the write-ahead log: SQLite's own default, about 4 MB
_ASK_AGAIN_SECONDS = 0.005
_IN_A_ROW = 100  # transactions at once before the thread gets one: it copies the log back, which waits for the disk


class NotNowError(Exception):
    """`at_once` would have to wait, or could not do it: `run` says which."""


class Database:
    """SQLAlchemy Core over one connection; SQLite for a path, whatever the URL says for a URL. Raises ConfigError.

    Statements of different callers never interleave: each is one transaction, in the order of the calls. `read_only`
    is for long looks beside a running service: each transaction sees the database as it was when it began to read.
    """

    def __init__(
        self,
        url_or_path: str | Path,
        *,
        busy_timeout_seconds: float = 5.0,
        survives_power_loss: bool = False,
        read_only: bool = False,
    ) -> None:
        self._url = _url(url_or_path)
        self._engine = _engine(self._url, read_only)
        self._connection: Connection | None = None
        self._patience = {"busy_timeout": round(busy_timeout_seconds * 1000), "wal_autocheckpoint": _CHECKPOINT_PAGES}
        is_sqlite = self._url.get_backend_name() == "sqlite"
        if is_sqlite:
            if self._url.database and self._url.database != ":memory:":
                path = Path(self._url.database)
                private_folder(path.parent)
                private_file(path)  # SQLite gives -wal and -shm the mode of the file itself
            _prepare_sqlite(self._engine, self._patience, survives_power_loss, read_only)
        self._is_sqlite = is_sqlite
        self._never_waits = is_sqlite and not survives_power_loss
        self._in_a_row = 0
        self._set_patience: Mapping[str, int] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        self._unfinished: set[Future[Any]] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<Database {self._url.render_as_string(hide_password=True)}{' closed' if self._closed else ''}>"

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Does `work` in one transaction: committed when this returns, rolled back when it raises.

        Cancelling the caller does not undo it: the transaction goes on to its own end.
        """
        return await self._on_thread(self._transaction, work, self._patience)

    def at_once(self, work: Callable[[Connection], T]) -> T:
        """As `run`, on the calling thread: for a few rows, which take SQLite less time than handing them over takes.

        It waits neither for a lock nor for the disk. Raises NotNowError, and then nothing was done.
        """
        is_free = self._connection is not None and not self._unfinished and not self._closed
        if not self._never_waits or not is_free or self._in_a_row >= _IN_A_ROW:
            raise NotNowError
        self._in_a_row += 1
        try:
            return self._transaction(work, {"busy_timeout": 0, "wal_autocheckpoint": 0})
        except SQLAlchemyError as error:
            raise NotNowError from error

    async def promptly(self, work: Callable[[Connection], T]) -> T:
        """`at_once` where that can be, else `run`: for the few rows that somebody waits for."""
        try:
            return self.at_once(work)
        except NotNowError:
            return await self.run(work)

    def _transaction(self, work: Callable[[Connection], T], patience: Mapping[str, int]) -> T:
        if self._connection is None:
            self._connection = self._engine.connect()
        if self._is_sqlite and patience != self._set_patience:
            _set(self._connection.connection.driver_connection, patience)
            self._set_patience = patience
        with self._connection.begin():
            return work(self._connection)

    async def forget(self, *, patient: bool = False) -> bool:
        """Empties the write-ahead log of what it still holds of deleted rows. False: somebody reads; ask again.

        `patient` waits for them as long as a transaction would, and everything after it here waits too.
        """
        if not self._is_sqlite:
            return True
        return await self._on_thread(self._empty_log, self._patience if patient else {"busy_timeout": 0})

    async def _on_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        future = self._thread.submit(work, *args, **kwargs)
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        self._in_a_row = 0
        return await asyncio.wrap_future(future)

    def _empty_log(self, patience: Mapping[str, int]) -> bool:
        if self._connection is None:
            self._connection = self._engine.connect()
        driver: Any = self._connection.connection.driver_connection
        _set(driver, patience)
        self._set_patience = {}
        is_busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy

    async def close(self) -> None:
        """Finishes what was asked before, then lets the file go. Calling it again does nothing."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
            self._thread.shutdown(wait=False)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        return make_url(url_or_path)
    except ArgumentError:
        # the text may hold a password, so the message does not repeat it
        raise ConfigError("the database URL cannot be read; write `dialect+driver://user:password@host/name`") from None


def _engine(url: URL, read_only: bool) -> Engine:
    try:
        # hide_parameters: the values of a failed statement stay out of the exception's text
        engine = create_engine(url, hide_parameters=True, poolclass=QueuePool, pool_size=1, max_overflow=0)
        # SQLite gives every transaction one unchanging view by itself
        is_to_ask = read_only and url.get_backend_name() != "sqlite"
        return engine.execution_options(isolation_level="REPEATABLE READ") if is_to_ask else engine
    except NoSuchModuleError as error:
        raise ConfigError(f"no dialect called `{url.drivername}`; use sqlite or postgresql+<driver>") from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"`{url.drivername}` needs the Python package `{error.name}`; install it") from error


def _prepare_sqlite(engine: Engine, patience: Mapping[str, int], survives_power_loss: bool, read_only: bool) -> None:
    pragmas: dict[str, str | int] = {
        **patience,  # first: the others already need the file
        "synchronous": "FULL" if survives_power_loss else "NORMAL",
        "foreign_keys": "ON",
        "secure_delete": "ON",  # what is deleted is overwritten, not left in free pages
        "temp_store": "MEMORY",  # no rows in temporary files
        "trusted_schema": "OFF",
        "query_only": "ON" if read_only else "OFF",
    }

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses
        _set(connection, pragmas)
        _write_ahead(connection, patience["busy_timeout"] / 1000)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE: takes the write lock at once, so two processes wait for each other instead of failing half-way
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _write_ahead(connection: Any, patience_seconds: float) -> None:
    """Of two who change a new file's mode at once SQLite tells one that it is locked, without waiting: ask again."""
    until = time.monotonic() + patience_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() >= until:
                raise
            time.sleep(_ASK_AGAIN_SECONDS)


def _set(connection: Any, pragmas: Mapping[str, str | int]) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name}={value}")
