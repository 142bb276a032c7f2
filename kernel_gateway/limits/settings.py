"""How much one cell and one session may ask of the outside."""

from pydantic import Field

from kernel_gateway.config import Section

MiB = 1024 * 1024


class LimitSettings(Section):
    """Caps of the inner door. Sizes in bytes, times in seconds."""

    max_calls_per_cell: int = Field(20, ge=1)  # a person can still read what one cell did
    max_calls_per_session: int = Field(100, ge=1)  # a runaway agent ends here; raise it for long polling
    max_requests_per_cell: int = Field(1000, ge=1)  # of any kind, refused ones too: ends a loop that ignores its errors
    max_concurrent_calls: int = Field(64, ge=1)  # per session, calls and transfers; half of what the channel holds open
    call_timeout_seconds: float = Field(30.0, gt=0)  # above the longest long-poll (20 s)
    transfer_timeout_seconds: float = Field(60.0, gt=0)  # the largest blob at 1 MB/s
    max_answer_bytes: int = Field(MiB, ge=1024)  # an answer is read by a model; bulk data belongs in blobs
    max_blob_bytes: int = Field(50 * MiB, ge=1)  # below the channel's 64 MiB body
    max_blob_bytes_in_flight: int = Field(150 * MiB, ge=1)  # per session: three of the largest at once
    max_handles_per_session: int = Field(1000, ge=1)  # the oldest goes first; a hundred calls with ten links each
    handle_ttl_seconds: float = Field(3600.0, gt=0)  # of a link that does not say when it expires
    effect_retention_seconds: float = Field(86_400.0, gt=0)  # as long as upstreams usually remember a key: a day
