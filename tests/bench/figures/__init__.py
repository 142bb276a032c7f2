"""What is measured, by subject: a function each, from a rig to its rows. A new one goes into FIGURES."""

from collections.abc import Awaitable, Callable

from tests.bench.figures.bombs import bombs
from tests.bench.figures.calls import call_http, call_no_op
from tests.bench.figures.cells import cell, run
from tests.bench.figures.checkpoints import checkpoint
from tests.bench.figures.keeping import disk, pause
from tests.bench.figures.leaks import leaks
from tests.bench.figures.ledger import ledger
from tests.bench.figures.memory import memory
from tests.bench.figures.neighbours import neighbours
from tests.bench.figures.policy import decision
from tests.bench.figures.redaction import redaction
from tests.bench.figures.restoring import fork, restore
from tests.bench.figures.reviewing import reviewing
from tests.bench.figures.starting import burst, launch, session
from tests.bench.figures.switch import switch
from tests.bench.measurement import Row
from tests.bench.rig import Rig

Figure = Callable[[Rig], Awaitable[list[Row]]]

FIGURES: dict[str, Figure] = {
    "launch": launch,
    "session": session,
    "burst": burst,
    "cell": cell,
    "run": run,
    "call-no-op": call_no_op,
    "call-http": call_http,
    "ledger": ledger,
    "redaction": redaction,
    "decision": decision,
    "memory": memory,
    "review": reviewing,
    "bombs": bombs,
    "neighbours": neighbours,
    "leaks": leaks,
    "switch": switch,
    "checkpoint": checkpoint,
    "restore": restore,
    "fork": fork,
    "pause": pause,
    "disk": disk,
}
