"""Work that is not left half done: what was sent upstream to change something is heard to its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, also for a task that is cancelled meanwhile: it goes on until it has it.

    Whoever cancels it must be able to wait: `work` needs a deadline of its own.
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    return task.result()
