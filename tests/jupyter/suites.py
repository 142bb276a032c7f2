"""Which upstream tests run against our kernel, and where it deviates from them, with the reason. Only data.

A name is `file::test`. What is listed must fail, or be skipped, and nothing else may.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suite:
    """A `file` with so many `tests` of the source distribution `source`, or one of this folder that takes them over."""

    source: str
    file: str
    tests: int


LAUNCHERS: dict[str, dict[str, str]] = {"default": {}}
"""What a `[sandbox]` section says to choose a launcher; everything here runs on each of them."""

SUITES = (
    Suite("jupyter_kernel_test", "agent_kernel.py", 13),
    Suite("ipykernel", "tests/test_message_spec.py", 24),
    Suite("ipykernel", "tests/test_kernel.py", 35),
    Suite("ipykernel", "tests/test_async.py", 3),
)

NO_PROCESSES = "a sandboxed kernel starts no processes"
NO_SUBSHELLS = "subshells are neither there nor advertised"

DEVIATIONS = {
    "test_kernel::test_save_history": "a cell writes its file in the sandbox; the test reads it on the host",
    "test_kernel::test_subprocess_error": NO_PROCESSES,
    "test_kernel::test_subprocess_noprint": NO_PROCESSES,
    "test_kernel::test_subprocess_print": NO_PROCESSES,
    "test_message_spec::test_kernel_info_request": NO_SUBSHELLS,
    "test_message_spec::test_subshell": NO_SUBSHELLS,
}

SKIPPED_UPSTREAM = {
    "test_async::test_async_interrupt[trio]": "trio is not installed",
    "test_kernel::test_capture_fd": "skipped by its authors: pytest captures by itself",
    "test_kernel::test_complete": "for Windows",
    "test_kernel::test_shutdown_subprocesses": "skipped by its authors: it stalls on Linux",
    "test_kernel::test_subprocess_peek_at_stream_fileno": "skipped by its authors: pytest captures by itself",
    "test_kernel::test_unc_paths": "for Windows",
}

INSIDE = "calls ipykernel's own classes in its own process, and no kernel"
OWN_START = "is about how ipykernel starts by itself; ours inherits its sockets from a launcher"

LEFT_OUT = {
    "inprocess/test_kernel": INSIDE,
    "inprocess/test_kernelmanager": INSIDE,
    "test_comm": INSIDE,
    "test_connect": OWN_START,
    "test_curve": OWN_START,
    "test_debugger": "there is no debugger, and none is advertised: held by test_protocol.py",
    "test_displayhook": INSIDE,
    "test_embed_kernel": OWN_START,
    "test_eventloop": INSIDE,
    "test_heartbeat": INSIDE,
    "test_io": INSIDE,
    "test_ipkernel_direct": INSIDE,
    "test_jsonutil": INSIDE,
    "test_kernel_direct": INSIDE,
    "test_kernelapp": INSIDE,
    "test_kernelspec": OWN_START,
    "test_matplotlib_eventloops": INSIDE,
    "test_parentpoller": INSIDE,
    "test_start_kernel": OWN_START,
    "test_subshell_wedge": INSIDE,
    "test_subshells": f"{NO_SUBSHELLS}: held by test_protocol.py",
    "test_zmq_shell": INSIDE,
}
"""ipykernel's test files that are not run."""
