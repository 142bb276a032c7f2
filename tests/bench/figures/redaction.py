"""What redacting a megabyte of text costs: log lines of every kind and context there is, one in ten with a secret."""

import random
import time

from kernel_gateway.audit.redact import redact
from tests.audit import test_redaction_recall as generator
from tests.bench.measurement import Bar, Row
from tests.bench.rig import Rig

BYTES = 1_000_000
SECRETS = 0.1


async def redaction(rig: Rig) -> list[Row]:
    lines, times = _lines(random.Random(1)), []
    for number in range(rounds := rig.rounds(5)):
        rig.progress.count("redaction", number, rounds)
        started = time.process_time()
        for line in lines:
            redact(line)
        times.append((time.process_time() - started) * 1000)
    return [Row("processor time of redacting a megabyte of log lines", "ms", tuple(times), bar=Bar(1000.0, "value"))]


def _lines(rng: random.Random) -> list[str]:
    secrets = list((generator.TUNED_KINDS | generator.HELD_OUT_KINDS).values())
    harmless = list(generator.BENIGN.values())
    contexts = list((generator.TUNED_CONTEXTS | generator.HELD_OUT_CONTEXTS).values())
    lines, size = list[str](), 0
    while size < BYTES:
        if rng.random() < SECRETS:
            name, text, _ = rng.choice(secrets)(rng)
        else:
            names, make = rng.choice(harmless)
            name, text = rng.choice(names), make(rng)
        lines.append(rng.choice(contexts)(name, text))
        size += len(lines[-1])
    return lines
