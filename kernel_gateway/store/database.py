"""One database, and the one thread that speaks to it.

Durability: a transaction that `run` has returned from survives the death of this process at any instant. With SQLite
in WAL mode and `synchronous=NORMAL` a power cut or a kernel crash never corrupts the file, but can cost the latest
transactions: those since the last WAL checkpoint (about 4 MB of pages) that the kernel had not written back yet.
`survives_power_loss` buys those too, for one disk flush per transaction.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.private import private_file, private_folder

T = TypeVar("T")


class Database:
    """SQLAlchemy Core over one connection; SQLite for a path, whatever the URL says for a URL. Raises ConfigError.

    Statements of different callers never interleave: each `run` is one transaction, in the order of the calls.
    """

    def __init__(
        self, url_or_path: str | Path, *, busy_timeout_seconds: float = 5.0, survives_power_loss: bool = False
    ) -> None:
        self._url = _url(url_or_path)
        self._engine = _engine(self._url)
        if self._url.get_backend_name() == "sqlite":
            if self._url.database and self._url.database != ":memory:":
                path = Path(self._url.database)
                private_folder(path.parent)
                private_file(path)  # SQLite gives -wal and -shm the mode of the file itself
            _prepare_sqlite(self._engine, busy_timeout_seconds, survives_power_loss)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        self._closed = False

    def __repr__(self) -> str:
        return f"<Database {self._url.render_as_string(hide_password=True)}{' closed' if self._closed else ''}>"

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Does `work` in one transaction: committed when this returns, rolled back when it raises.

        Cancelling the caller does not undo it: the transaction goes on to its own end.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        """Finishes what was asked before, then lets the file go. Calling it again does nothing."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
            self._thread.shutdown(wait=False)


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        return make_url(url_or_path)
    except ArgumentError:
        # the text may hold a password, so the message does not repeat it
        raise ConfigError("the database URL cannot be read; write `dialect+driver://user:password@host/name`") from None


def _engine(url: URL) -> Engine:
    try:
        # hide_parameters: the values of a failed statement stay out of the exception's text
        return create_engine(url, hide_parameters=True, poolclass=QueuePool, pool_size=1, max_overflow=0)
    except NoSuchModuleError as error:
        raise ConfigError(f"no dialect called `{url.drivername}`; use sqlite or postgresql+<driver>") from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"`{url.drivername}` needs the Python package `{error.name}`; install it") from error


def _prepare_sqlite(engine: Engine, busy_timeout_seconds: float, survives_power_loss: bool) -> None:
    pragmas = {
        "busy_timeout": round(busy_timeout_seconds * 1000),  # first: the others already need the file
        "journal_mode": "WAL",
        "synchronous": "FULL" if survives_power_loss else "NORMAL",
        "foreign_keys": "ON",
        "secure_delete": "ON",  # what is deleted is overwritten, not left in free pages
        "temp_store": "MEMORY",  # no rows in temporary files
        "trusted_schema": "OFF",
    }

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name}={value}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE: takes the write lock at once, so two processes wait for each other instead of failing half-way
        connection.exec_driver_sql("BEGIN IMMEDIATE")
