"""How the journal batches what it writes."""

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
