"""The `[sessions]` section: how many, how long, how large."""

from typing import Literal

from pydantic import Field

from kernel_gateway.config import Section


class SessionSettings(Section):
    max_kernels: int = Field(50, ge=1)
    """Live kernels on this host, of 40 to 100 MiB each. For one more, the session that was idle longest hibernates."""
    max_kernels_per_principal: int = Field(25, ge=1)
    """An agent needs one or two, a team behind one token some more; half of the host belongs to others."""
    max_sessions: int = Field(5000, ge=1)
    """Sessions in all, those that hibernate among them: a row and some megabytes each."""
    max_sessions_per_principal: int = Field(500, ge=1)
    """Of one caller: a team behind one token has that many lines of work in a day."""
    idle_seconds: float = Field(600.0, gt=0)
    """A session nobody used for this long hibernates: its variables are kept, its process goes."""
    ttl_seconds: float = Field(86_400.0, gt=0)
    """After this long without use a session is closed and all that is kept of it deleted: a working day and a night."""
    durability: Literal["after-reply", "before-reply"] = "after-reply"
    """When a cell's state is committed. Before the reply is certain and slow; after it, what was not committed when the
    gateway died is run again."""
    checkpoint_seconds: float = Field(10.0, gt=0)
    """How long one save may take; what is not saved by then is marked as lost, for the next save to try again."""
    max_checkpoint_bytes: int = Field(256 * 1024 * 1024, ge=1024)
    """Of one save, which writes what changed: a quarter of what a kernel's memory holds."""
    max_state_bytes: int = Field(512 * 1024 * 1024, ge=1024)
    """Of all variables of a session, before they are packed: half of what a kernel's memory holds. The gateway makes
    so much memory to restore them; a session with more is not kept until it drops some."""
    max_uncommitted_cells: int = Field(50, ge=1)
    """Cells that come too fast for their state to be saved in between; then one waits for it."""
    rerun_seconds: float = Field(120.0, gt=0)
    """How long the cells that were not committed may take when they are run again; and those that make variables again
    which cannot be pickled."""
    restore_seconds: float = Field(180.0, gt=0)
    """How long bringing a session back may take in all: loading its variables, and running cells again."""
    max_rebuild_cells: int = Field(20, ge=0)
    """Cells that are run again at one restore for variables that cannot be pickled: some seconds, as cells go."""
    max_rebuild_bytes: int = Field(32 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """Of what such a cell needs, which goes to the kernel in one message; messages have at most 64 MiB."""
    max_wait_seconds: float = Field(30.0, ge=0)
    """How long a cell waits for its turn on a busy session before it is refused."""
    max_waiting: int = Field(4, ge=0)
    """Cells that may wait for their turn on one session."""
    max_timeout_seconds: float = Field(600.0, gt=0, le=600)
    """The longest deadline a caller may ask for."""
    max_code_bytes: int = Field(64 * 1024, ge=1024, le=64 * 1024)
    """One cell's source; the published schema says the same."""
    answer_ttl_seconds: float = Field(600.0, gt=0)
    """How long the answer to a `request_id` is kept, in memory only."""
    max_answers: int = Field(256, ge=1)
    """Answers kept for one caller at once; beyond it a new `request_id` is refused."""
    max_answer_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    """The same in bytes of text and pictures: room for some thirty full answers."""
    reap_interval_seconds: float = Field(15.0, gt=0)
    source: Literal["kept", "digest-only"] = "kept"
    """Whether the text of cells is kept, encrypted, while their session lives; else none is shown or run again."""
