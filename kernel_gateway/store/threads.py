"""Work on many things, off the event loop and on two threads where there is enough of it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")

_THREADS = 2  # a restore takes both cores of the smallest host, and no more of a larger one


class Threads:
    def __init__(self, name: str) -> None:
        """`name` is what the threads are called."""
        self._pool = ThreadPoolExecutor(_THREADS, name)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def share(self, work: Callable[[Sequence[Item]], None], items: Sequence[Item]) -> None:
        """`work` on every item, in parts. All of them have ended when this returns or raises."""
        parts = [part for start in range(_THREADS) if (part := items[start::_THREADS])]
        loop = asyncio.get_running_loop()
        ended = await asyncio.gather(
            *(loop.run_in_executor(self._pool, work, part) for part in parts), return_exceptions=True
        )
        for error in filter(None, ended):
            raise error

    async def to_the_end(self, work: Coroutine[Any, Any, T], name: str | None = None) -> T:
        """Goes on when the caller is cancelled, as a transaction does. `name` is for `ended`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def ended(self, name: str) -> None:
        """Once nothing that goes to the end under this name is under way."""
        if tasks := [task for task in self._tasks if task.get_name() == name]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._pool.shutdown(wait=False)
