"""Names for what a gateway leaves on the host while it runs: the name says whose it is, so that a later one may sweep.

Standard library only.
"""

import os

PREFIX = "kg-"


def owned(label: str) -> str:
    """`kg-<pid of this process>-<label>`."""
    return f"{PREFIX}{os.getpid()}-{label}"


def is_left_over(name: str) -> bool:
    """Whether `name` was made by `owned` in a process that no longer runs."""
    owner, dash, _ = name.removeprefix(PREFIX).partition("-")
    return name.startswith(PREFIX) and bool(dash) and owner.isdigit() and not _runs(int(owner))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
