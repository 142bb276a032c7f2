"""Frames and series that share memory share it again, and know it: pandas copies before it writes where they do.

Nothing here imports pandas: a session that has a frame has imported it.
"""

import sys
from collections.abc import Iterator
from typing import Any

_INSIDE = ("_data", "_ndarray", "_mask", "_codes", "_left", "_right")


def reduce_block(block: Any) -> Any:
    """With the register of who shares its values."""
    make, arguments, *_ = block.__reduce_ex__(5)
    return make, arguments, block.refs, None, None, share


def share(block: Any, references: Any) -> None:
    block.refs = references
    if references is not None:
        references.add_reference(block)


def reduce_series_manager(manager: Any) -> Any:
    """pandas itself would keep the values alone."""
    return type(manager), (manager.blocks[0], manager.axes[0])


def reduce_references(references: Any) -> Any:
    """Empty: whoever shares enters himself."""
    return type(references), ()


def reduce_index(index: Any) -> Any:
    """As pickle does, and with its register where a frame or a series shares the values."""
    make, arguments, *_ = index.__reduce__()
    if (references := _shared(index)) is None:
        return make, arguments
    return make, arguments, references, None, None, share_index


def share_index(index: Any, references: Any) -> None:
    index._references = references
    references.add_index_reference(index)


def _shared(index: Any) -> Any:
    references = getattr(index, "_references", None)
    kind = sys.modules["pandas"].Index
    holders = (each() for each in references.referenced_blocks) if references is not None else ()
    return references if any(each is not None and not isinstance(each, kind) for each in holders) else None


def of_classes() -> Iterator[Any]:
    """What every frame or every series has in its state although it is its class's."""
    pandas = sys.modules["pandas"]
    return (kind._metadata for kind in (pandas.DataFrame, pandas.Series))


def immutable_parts(index: Any) -> Iterator[Any]:
    """What in an index nobody can change: frames that have the same one are not bound together by it."""
    yield index
    if _shared(index) is not None:
        return
    waiting = [index]
    while waiting:
        one = waiting.pop()
        for name in _INSIDE:
            if (part := getattr(one, name, None)) is not None and part is not one:
                yield part
                waiting.append(part)
        if (base := getattr(one, "base", None)) is not None:
            yield base
            waiting.append(base)
