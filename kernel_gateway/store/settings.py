"""Where the gateway keeps what must outlive it."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from kernel_gateway.config import Section


class StoreSettings(Section):
    """The state folder is ours alone: created 0700, files in it 0600."""

    folder: Annotated[Path, AfterValidator(Path.expanduser), Field(validate_default=True)] = Path(
        "~/.local/state/kernel-gateway"
    )
    # A SQLAlchemy URL; empty means SQLite in the folder. Another database needs its driver installed.
    database_url: SecretStr = SecretStr("")
    # Another process (the command line) may hold the file for a moment; longer than this is a fault, not a queue.
    busy_timeout_seconds: float = Field(default=5.0, ge=0, le=60)
    # Off: a commit survives the death of the process, and a power cut costs the latest commits (see Database).
    # On: a commit survives the power cut too, for one disk flush each.
    survives_power_loss: bool = False

    @property
    def database(self) -> str | Path:
        """What Database takes."""
        return self.database_url.get_secret_value() or self.folder / "gateway.db"
