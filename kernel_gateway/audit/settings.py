"""How the journal batches what it writes, when it signs it, and how long it keeps it."""

from pathlib import Path

from pydantic import Field

from kernel_gateway.config import Section


class AuditSettings(Section):
    """Nothing here decides *what* is recorded: that is not a setting."""

    # What nobody waits for is written this long after it happened at the latest; what a reply depends on, at once.
    flush_interval_ms: float = Field(default=50.0, gt=0, le=10_000)
    # One transaction writes at most this many events, so that a burst does not hold up a reader for long.
    max_batch_events: int = Field(default=512, ge=1, le=10_000)
    # So few are written where they are waited for (0.1 ms, or 1 ms for all of these) instead of on a thread.
    max_events_at_once: int = Field(default=32, ge=0, le=512)
    # Beyond this the disk has not kept up: recording is refused, and with it the work (about 20 MB of memory).
    max_buffered_events: int = Field(default=20_000, ge=1, le=1_000_000)
    # No record is ever older. Not below two days: they go by the segment of a day, the open one included.
    retention_days: float = Field(default=29.0, ge=2, le=3650)
    # A head is signed after so many records: what a start has to check again, about 0.2 s.
    checkpoint_events: int = Field(default=10_000, ge=1, le=1_000_000)
    # A head is signed at least this often while there are events, so that an hour can be lost unseen and no more.
    checkpoint_seconds: float = Field(default=3600.0, ge=1, le=86_400)
    # Every head that is signed is added to this file, to be kept where nobody who can write the database can change it.
    heads_file: Path | None = None
