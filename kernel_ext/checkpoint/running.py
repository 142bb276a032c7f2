"""Whether code of cells runs although no cell does: then any variable may change at any time."""

import asyncio
import sys
import threading
from typing import Any

_OURS = ("ipykernel.", "IPython.", "zmq.", "tornado.", "kernel_ext.")


def something_else_runs(namespace: dict[str, Any]) -> bool:
    threads = [each for each in threading.enumerate() if each is not threading.main_thread()]
    known = {each.ident for each in threads}
    if any(not _ours(each) for each in threads) or sys._current_frames().keys() - known - {
        threading.main_thread().ident
    }:
        return True
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop runs here
        return False
    return any(_of_cells(task.get_coro(), namespace) for task in tasks)


def _ours(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    places = (f"{type(thread).__module__}.", f"{getattr(target, '__module__', '')}.")
    return any(place.startswith(_OURS) for place in places)


def _of_cells(waiting: Any, namespace: dict[str, Any]) -> bool:
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None and frame.f_globals is namespace:
            return True
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return False
