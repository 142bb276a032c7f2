"""Segments: the records of a day, pruned as one. Pure: the times of the records alone say where one begins."""

from dataclasses import dataclass, replace

SEGMENT_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Segment:
    """`oldest_at` is when the oldest of its events happened, in seconds since the epoch: one that is late may be older
    than the first."""

    first_seq: int
    oldest_at: float


def segment_of(seq: int, at: float, before: Segment | None) -> Segment:
    """Of the record `seq`, where the one before it is in the segment `before`."""
    if before is None or at >= before.oldest_at + SEGMENT_SECONDS:
        return Segment(seq, at)
    return replace(before, oldest_at=at) if at < before.oldest_at else before
