"""The `[kernels]` section: how kernels run, in numbers."""

from typing import Literal

from pydantic import Field

from kernel_gateway.config import Section

MIB = 1024 * 1024


class PoolSettings(Section):
    """Kernels that wait for a session, and the templates they come from."""

    ready: int = Field(10, ge=0, le=100)
    """Kept ready per template: sessions that start at once take them; about 7 MB each. 0: start on demand."""
    max_templates: int = Field(8, ge=1)
    """One an organisation, about 100 MB each; idle ones are given up for others."""
    max_retired_templates: int = Field(8, ge=0)
    """Replaced, and kept for the sessions whose kernels came from them. At so many, others are kept in use longer."""
    max_kernels_per_template: int = Field(1000, ge=1)
    """Then it is replaced: kernels of one template share their address layout and hash seed."""
    template_seconds: float = Field(6 * 3600.0, gt=0)
    """Replaced after this long, for the same reason."""
    idle_template_seconds: float = Field(900.0, gt=0)
    """Given up when its organisation had no kernel for so long."""
    tend_seconds: float = Field(30.0, gt=0)
    """How often that is looked at."""


class KernelSettings(Section):
    """Seconds and bytes. Output limits hold per cell and are checked on raw frames, before anything is parsed."""

    launcher: Literal["forkserver", "filtered", "bwrap", "oci", "none"] = "forkserver"
    """Forked from a warmed template, or a fresh process each: in bubblewrap, in a container, or without a sandbox."""
    preload: tuple[str, ...] = ("numpy", "pandas", "PIL.Image")
    """Modules that a template imports before it forks: cells find them loaded, and kernels share their memory."""
    pool: PoolSettings = PoolSettings()
    start_seconds: float = Field(30.0, gt=0)
    """A kernel starts in about a second; a loaded machine may take ten times as long."""
    interrupt_grace_seconds: float = Field(3.0, gt=0)
    """After an interrupt the cell has this long to stop; then its kernel is killed."""
    idle_grace_seconds: float = Field(1.0, gt=0)
    """A reply without the matching idle message ends the turn after this long: the message may have been lost."""
    max_message_bytes: int = Field(8 * MIB, ge=MIB)
    """One kernel message, all its parts. A longer one breaks the connection, and the kernel with it."""
    max_message_parts: int = Field(256, ge=16)
    """A kernel message has seven, and one for each binary buffer that a widget sends along."""
    max_output_bytes: int = Field(24 * MIB, ge=MIB)
    """All messages of a cell together: a few full-size pictures."""
    max_output_messages: int = Field(10_000, ge=10)
    """More than any honest cell sends; kernels already gather prints for 0.2 s."""
    max_messages_per_second: int = Field(2_000, ge=10)
    """Above it messages are dropped unparsed for the rest of that second."""
    max_reply_bytes: int = Field(4 * MIB, ge=64 * 1024)
    """An execute_reply; a longer one is not read. Only a long error or what `name?` shows makes it large."""
    max_text_bytes: int = Field(256 * 1024, ge=1024)
    """Kept of stdout, and of stderr: head and tail. A model reads at most a tenth of it."""
    max_images: int = Field(8, ge=0)
    """Displayed pictures kept per cell."""
    max_concurrent_requests: int = Field(64, ge=1)
    """Requests of one kernel over the sixth channel that are worked on at once; the rest wait unread."""
    max_concurrent_reads: int = Field(3, ge=1)
    """Blobs on their way into one kernel at once; each is in memory until the kernel has taken it."""
    max_blob_bytes: int = Field(50 * MIB, ge=1024)
    """One blob over the sixth channel."""
    max_blob_bytes_of_all: int = Field(512 * MIB, ge=1024)
    """Held for all kernels together, half sent or not yet taken: ten of the largest. More are refused: try again."""
    max_unwritten_bytes_of_all: int = Field(512 * MIB, ge=1024)
    """State that kernels have given and that is not on the disk yet: two of the largest saves. A save that finds no
    room fails, and is done later."""
    loop_share: float = Field(0.25, gt=0, le=1)
    """Of the event loop's time, for all kernels together that send more than a little: a flood leaves the rest."""
