"""What sessions leave behind when they, their kernels, templates and clients end in every way."""

from tests.bench.measurement import Bar, Row
from tests.bench.rig import Rig
from tests.soak.run import soak

SESSIONS = 60
SEED = 1


async def leaks(rig: Rig) -> list[Row]:
    """A gateway of its own, since its state before is part of the figure. `python -m tests.soak` runs a thousand."""
    done = await soak(12 if rig.quick else SESSIONS, SEED, rig.progress)
    found = ", ".join(f"{count} {what}" for what, count in done.left.items() if count) or "nothing"
    note = f"{done.sessions} sessions, {found} left; counted: {', '.join(done.left)}"
    return [
        Row(
            "left over after sessions with random kills", "", (sum(done.left.values()),), bar=Bar(0, "value"), note=note
        )
    ]
