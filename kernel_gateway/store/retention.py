"""Which of a session's checkpoints are kept."""

from collections.abc import Iterable, Sequence


def kept_from(
    sizes: Sequence[tuple[int, int]], references: Iterable[tuple[int | None, int]], most: int, most_bytes: int
) -> int | None:
    """The `seq` of the oldest that is kept: the newest `most` of them, and of those as many as fit in `most_bytes`.

    `sizes` are (seq, bytes) of all, ascending; `references` (seq of the last that names the chunk, or None for the
    newest, bytes). None: even the newest alone is too large.
    """
    kept = sizes[-most:]
    first = kept[0][0]
    ends = sorted((last_seq, stored) for last_seq, stored in references if last_seq is not None and last_seq >= first)
    total = sum(size for _, size in kept) + sum(stored for _, stored in ends)
    total += sum(stored for last_seq, stored in references if last_seq is None)
    done = 0
    for seq, size in kept:
        while done < len(ends) and ends[done][0] < seq:
            total -= ends[done][1]
            done += 1
        if total <= most_bytes:
            return seq
        total -= size
    return None
