"""What is due to be deleted, and whether the chain shows it to be that old: without its key nobody has it deleted."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from kernel_gateway.audit import chain, tables
from kernel_gateway.audit.chain import Fault, Link
from kernel_gateway.audit.events import LedgerPruned
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.segments import Segment
from kernel_gateway.audit.walk import CLOSING_IS_MISSING, Walk, records, start_of, stored_heads, stored_segments

LOOKED_AT_AT_ONCE = 5_000  # records in one transaction: others wait for it, about 50 ms
OTHER_SEGMENTS = "the segment that begins with it says another time, or another end, than its records"


class Due:
    """The records `first` to `through`. `look` at all of them before they go: then `fault` says why they must not.

    The table of segments lies unprotected in the database: it says where to look, the records say how old they are.
    """

    def __init__(self, seal: Seal, segments: Sequence[Segment], through: int, start: Link | None) -> None:
        self.first, self.through, self._segments = segments[0].first_seq, through, segments
        self._walk = Walk(seal.chain, start or Link(through, ""))
        self.fault = None if start is not None else Fault(self.first, CLOSING_IS_MISSING)

    @property
    def is_looked_at(self) -> bool:
        return self.fault is not None or self._walk.link.seq >= self.through

    def look(self, connection: Connection) -> None:
        """At the next ones."""
        last = min(self._walk.link.seq + LOOKED_AT_AT_ONCE, self.through)
        self.fault = self._walk.over(records(connection, self._walk.link.seq + 1, last))
        if self.fault is None and self._walk.link.seq < last:
            self.fault = Fault(self._walk.link.seq + 1, "it is missing")
        if self.is_looked_at and self.fault is None:
            self.fault = other_segment(self._segments, self._walk.segments)


def due(connection: Connection, seal: Seal, before: float, last: int) -> Due | None:
    """The segments, from the oldest on, that begin `before` then; `last` is the ledger's last record."""
    segments = stored_segments(connection)
    kept = next((i for i, segment in enumerate(segments) if segment.oldest_at > before), len(segments))
    if not kept:
        return None
    through = segments[kept].first_seq - 1 if kept < len(segments) else last
    key = seal.signing.public_key()
    heads = (head for head in stored_heads(connection) if head.is_signed_by(key))
    return Due(seal, segments[:kept], through, start_of(segments[0].first_seq, heads))


def pruned_through(connection: Connection, seal: Seal) -> int:
    """The last record that was given up, as the newest record of a pruning says; 0 where none is sound."""
    of_pruning = select(func.max(tables.events.c.seq)).where(tables.events.c.kind == LedgerPruned.kind)
    if (seq := connection.execute(of_pruning).scalar()) is None:
        return 0
    before = [head.link for head in stored_heads(connection) if head.seq == seq - 1]
    before += [Link(record.seq, mac) for record, mac in records(connection, seq - 1, seq - 1)]
    ((record, mac),) = records(connection, seq, seq)
    if not before or chain.fault(seal.chain, before[0], record, mac) is not None:
        return 0
    return int(json.loads(record.body)["through"])


def other_segment(said: Sequence[Segment], found: Sequence[Segment]) -> Fault | None:
    """The first segment that is not as its records are."""
    if said == found:
        return None
    firsts = {segment.first_seq for segment in {*said} ^ {*found}}
    return Fault(min(firsts), OTHER_SEGMENTS)
