"""Where the gateway keeps what must outlive it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from kernel_gateway.config import Section
from kernel_gateway.errors import ConfigError
from kernel_gateway.store.private import private_folder

_MIB = 1024 * 1024


class CheckpointSettings(Section):
    """How much state of sessions is kept. What is over is refused and said, never dropped in silence."""

    # 10,000 variables take about 3 MiB.
    max_manifest_bytes: int = Field(default=4 * _MIB, ge=4096, le=64 * _MIB)
    # Each is a row or two in the transaction that commits them, for which all wait: 1,000 new ones take it 60 ms,
    # these 400. 512 MiB of arrays are 512 chunks.
    max_chunks: int = Field(default=4_000, ge=1, le=100_000)
    # As stored, of all its checkpoints together. The oldest go first; the newest alone must fit.
    max_session_bytes: int = Field(default=512 * _MIB, ge=_MIB)
    # All that is stored. 1,000 sessions at rest with 10 MiB each, and as much again.
    max_bytes: int = Field(default=20 * 1024 * _MIB, ge=_MIB)
    # A session of a working day has fewer cells; a tiny checkpoint takes about 1 KiB.
    max_per_session: int = Field(default=200, ge=1, le=10_000)


class StoreSettings(Section):
    """The state folder is ours alone: created 0700, files in it 0600."""

    folder: Annotated[Path, AfterValidator(Path.expanduser), Field(validate_default=True)] = Path(
        "~/.local/state/kernel-gateway"
    )
    # Holds the folder `keys`; outside of the data's, for a copy of that alone is to open nothing.
    keys_folder: Annotated[Path | None, AfterValidator(lambda path: path and path.expanduser())] = None
    # A SQLAlchemy URL; empty means SQLite in the folder. Another database needs its driver installed.
    database_url: SecretStr = SecretStr("")
    # Another process (the command line) may hold the file for a moment; longer than this is a fault, not a queue.
    busy_timeout_seconds: float = Field(default=5.0, ge=0, le=60)
    # Off: a commit survives the death of the process, and a power cut costs the latest commits (see Database).
    # On: a commit survives the power cut too, for one disk flush each.
    survives_power_loss: bool = False

    checkpoints: CheckpointSettings = CheckpointSettings()

    @property
    def data(self) -> Path:
        """The folder of the database and of chunks: everything that is encrypted, and no key."""
        return self.folder / "data"

    @property
    def chunks(self) -> Path:
        """The folder of what is too large for the database."""
        return self.data / "chunks"

    @property
    def keys(self) -> Path:
        """What Keys takes."""
        return self.keys_folder or self.folder

    @property
    def database(self) -> str | Path:
        """What Database takes."""
        return self.database_url.get_secret_value() or self.data / "gateway.db"

    def leave_old_place(self) -> None:
        """Moves a database that lies beside the keys into the folder of the data, rather than begin a new ledger.

        Raises ConfigError where somebody has it open.
        """
        old, new = self.folder / "gateway.db", self.data / "gateway.db"
        if new.exists() or not old.exists():
            return
        try:
            with closing(sqlite3.connect(old, timeout=0)) as connection:
                connection.execute("PRAGMA journal_mode=DELETE")  # all of it in one file, and nobody else has that open
            private_folder(self.data)
            old.rename(new)
        except (sqlite3.Error, OSError):
            message = f"the database `{old}` belongs into `{self.data}` now, and is in use; end what uses it"
            raise ConfigError(message) from None

    @model_validator(mode="after")
    def _keys_lie_outside_of_the_data(self) -> Self:
        if self.keys.resolve().is_relative_to(self.data.resolve()):
            raise ValueError(f"keys_folder: `{self.keys}` lies in the folder of the data; name one outside of it")
        return self
