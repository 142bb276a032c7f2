"""What a named attack is: a cell, how it must end, and the layers that see to it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

DENIED = ("EPERM", "EACCES", "ENOSYS")
NO_ROUTE = (*DENIED, "ENETUNREACH")
HIDDEN = (*DENIED, "ENOENT", "nothing")
READ_ONLY = (*DENIED, "EROFS", "ENOENT")

IS_SOCKET = """
def _is_socket(fd):
    import stat
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
"""

LAYERS = frozenset({"namespaces", "root", "capabilities", "limits", "landlock", "seccomp", "cgroup", "gateway"})
ENDS = frozenset({"refused", "survived", "cut", "lost", "stopped"})


@dataclass(frozen=True, slots=True)
class Probe:
    """`body` is the cell's own part: `attack()` returns what it got, nothing, or raises; or it is a plain cell.

    It holds where the cell ended in one of `ends`, the host saw nothing, and the session goes on:

    - refused: the attack raised, or got nothing; which of the two, and what, is in `expects`
    - survived: the cell ran to its end, said `alive` last and never `got through`
    - cut: the same, and its output was truncated
    - lost: the kernel died of it
    - stopped: the deadline of `seconds` ended it

    With all layers of `stopped_by` gone the attack gets through: `control` is then run in place of `body` where it has
    to differ, and `why_no_control` says why there is none. `within_seconds` bound how long an attack on the host's
    resources may last on an otherwise idle machine; the bench measures it. `lingers`: the cell acts after its turn,
    which the host waits for.
    `not_on` holds launchers that make no such promise, with the reason.
    """

    name: str
    body: str
    stopped_by: tuple[str, ...]
    expects: tuple[str, ...] = DENIED
    ends: tuple[str, ...] = ("refused",)
    seconds: float = 10.0
    within_seconds: float = math.inf
    control: str = ""
    why_no_control: str = ""
    not_on: Mapping[str, str] = field(default_factory=dict)
    lingers: bool = False
    is_quick: bool = False
    family: str = ""

    @property
    def must_end_quickly(self) -> bool:
        return self.within_seconds < math.inf


def of_family(name: str, *probes: Probe) -> tuple[Probe, ...]:
    return tuple(replace(probe, family=name) for probe in probes)
