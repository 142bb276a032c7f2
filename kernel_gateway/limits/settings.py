"""How much one cell, session, caller and organisation may ask of the outside, and how often."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from kernel_gateway.config import Section
from kernel_gateway.limits.rate import parse_rate
from kernel_gateway.limits.usage import UNLIMITED, Usage

MEMORY = "memory"
MiB = 1024 * 1024
GiB = 1024 * MiB
HOUR = 3600.0


def _readable(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        parse_rate(text)
    return texts


def _store(store: SecretStr) -> SecretStr:
    text = store.get_secret_value()
    if text == MEMORY or text.startswith(("redis://", "rediss://", "redis+unix://")):
        return store
    raise ValueError("write `memory`, `redis://host:6379/0`, `rediss://...` or `redis+unix:///path`")


Whole = Annotated[int, Field(ge=0, le=2**62)]  # a database holds twice that
Seconds = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]
RateLines = Annotated[tuple[str, ...], AfterValidator(_readable)]


class RateSettings(Section):
    """Each entry is `COUNT/PERIOD per WHOM`, and all of them hold. WHOM: token, client, organisation."""

    # twenty sessions that each poll twice a second, and what a protocol says around them
    request: RateLines = ("3000/minute per token", "12000/minute per organisation")
    # an agent thinks for seconds between cells; ten a second is a program, and an hour of that a mistake
    execute: RateLines = (
        "600/minute per token",
        "12000/hour per token",
        "1800/minute per client",
        "3000/minute per organisation",
    )
    search: RateLines = ("600/minute per token", "3000/minute per organisation")  # as cells
    call: RateLines = ("1200/minute per token", "6000/minute per organisation")  # a full cell every second
    operation: RateLines = ("600/minute per token",)  # of each by itself: no single one takes all of the above
    operations: dict[str, RateLines] = Field(default_factory=dict)  # by operation id, instead of `operation`


class ExecutionBudget(Section):
    """Of one cell. Its calls are `max_calls_per_cell`, its time is its deadline."""

    writes: Whole = 20  # as its calls: who raises those for polling does not raise these
    bytes: Whole = 512 * MiB  # ten of the largest blobs

    def most(self) -> Usage:
        return Usage(UNLIMITED, self.writes, self.bytes, UNLIMITED)


class SessionBudget(Section):
    """Of one session. Its calls are `max_calls_per_session`."""

    writes: Whole = 100  # as its calls
    bytes: Whole = 2 * GiB  # forty of the largest blobs
    seconds: Seconds = 4 * HOUR  # half a working day of cells that run without a pause

    def most(self) -> Usage:
        return Usage(UNLIMITED, self.writes, self.bytes, round(self.seconds * 1000))


class Allowance(Section):
    calls: Whole
    writes: Whole
    bytes: Whole
    seconds: Seconds

    def most(self) -> Usage:
        return Usage(self.calls, self.writes, self.bytes, round(self.seconds * 1000))


class TreeBudget(Allowance):
    """Of a session and everything forked from it, together: a fork is no way around a budget, only some more room."""

    calls: Whole = 400  # four sessions' worth, and so on
    writes: Whole = 200
    bytes: Whole = 8 * GiB
    seconds: Seconds = 8 * HOUR


class PrincipalQuota(Allowance):
    """Of one caller in a day (UTC)."""

    calls: Whole = 10_000  # a hundred full sessions
    writes: Whole = 2_000  # more than anybody wants to undo
    bytes: Whole = 50 * GiB  # a thousand of the largest blobs
    seconds: Seconds = 24 * HOUR  # one kernel that never rests


class OrganisationQuota(Allowance):
    """Of all its callers together in a day (UTC)."""

    calls: Whole = 100_000  # ten callers that use all of theirs
    writes: Whole = 20_000
    bytes: Whole = 500 * GiB
    seconds: Seconds = 240 * HOUR


class Budgets(Section):
    execution: ExecutionBudget = ExecutionBudget()
    session: SessionBudget = SessionBudget()
    tree: TreeBudget = TreeBudget()


class QuotaSettings(Section):
    principal: PrincipalQuota = PrincipalQuota()
    organisation: OrganisationQuota = OrganisationQuota()


class LimitSettings(Section):
    """Caps of both doors. Sizes in bytes, times in seconds."""

    # Where the rates are counted: "memory" for one gateway, a Redis URL for several. Only Redis can fail to answer.
    store: Annotated[SecretStr, AfterValidator(_store)] = SecretStr(MEMORY)
    store_timeout_seconds: float = Field(1.0, gt=0, le=60)  # a Redis nearby takes a millisecond; then nobody is let in
    rates: RateSettings = RateSettings()
    budgets: Budgets = Budgets()
    quotas: QuotaSettings = QuotaSettings()
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
