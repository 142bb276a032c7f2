"""The `[sandbox]` section: what a kernel may touch, in numbers."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from kernel_gateway.config import Section

MIB = 1024 * 1024


class SandboxSettings(Section):
    """Sizes in bytes. Every kernel gets the same."""

    image: Path = Path("build/kernel")
    """Folder of the kernel image, as `make install` builds it; a relative one is beside the package if it is there."""
    oci_runtime: Literal["runc", "crun"] = "runc"
    """The program that makes containers for the launcher `oci`."""

    @field_validator("oci_runtime", mode="before")
    @classmethod
    def _passes_descriptors_on(cls, value: object) -> object:
        if value == "runsc":
            raise ValueError("gVisor's `runsc` passes no open sockets on to a container; set `runc` or `crun`")
        return value

    home_bytes: int = Field(256 * MIB, ge=MIB)
    """The kernel's home, a tmpfs: room for a few photographs and a CSV, small enough for fifty kernels."""
    temporary_bytes: int = Field(64 * MIB, ge=MIB)
    """The kernel's temporary folder, a tmpfs: libraries put short-lived files there."""
    shared_memory_bytes: int = Field(16 * MIB, ge=MIB)
    """Shared memory, a tmpfs: a kernel has one process, so little there is ever of use."""
    max_inodes: int = Field(4096, ge=64)
    """Files and folders of one of these: hundreds are much for a session, and each costs 1 KiB that no size counts."""
    address_space_bytes: int = Field(4096 * MIB, ge=512 * MIB)
    """RLIMIT_AS. numpy, pandas and matplotlib together map about 1.5 GiB before they hold any data."""
    file_bytes: int = Field(256 * MIB, ge=MIB)
    """RLIMIT_FSIZE: no file can be larger than the home."""
    open_files: int = Field(256, ge=64)
    """RLIMIT_NOFILE: a kernel starts with about 40."""
    processes: int = Field(256, ge=32)
    """RLIMIT_NPROC and the cgroup's tasks, threads included. Linux does not enforce the first for uid 0."""
    memory_bytes: int = Field(1024 * MIB, ge=128 * MIB)
    """Of its cgroup, files in its home included. What it shares with its template counts there, so all is for data; a
    figure of 8 megapixels takes over half of it. Half as much would be filled, and died of, in half the time."""
    template_memory_bytes: int = Field(1024 * MIB, ge=256 * MIB)
    """Of a template's cgroup: about 75 MB, and 2.3 MB for each living kernel, which it touched before it left."""
    template_processes: int = Field(2048, ge=64)
    """Tasks of a template's cgroup: a hundred children at once, before each has moved to its own, have ten threads."""
    cpus: float = Field(1.0, ge=0.1, le=64)
    """Of its cgroup, in processors: a Python kernel runs one thread at a time, so one is what it can use."""
    cpu_weight: int = Field(25, ge=1, le=10_000)
    """Of its cgroup, where everyone else has 100: the gateway is served first, so it can stop a kernel that spins."""
