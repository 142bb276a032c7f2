"""While state is saved or loaded, objects' own code may print: nobody asked for it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Nowhere:
    """Of this thread's prints nothing is left; other threads print as before."""

    def __init__(self, real: Any) -> None:
        self._real, self._thread = real, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            return len(text)
        return int(self._real.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def quiet() -> Iterator[None]:
    shown = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Nowhere(shown[0]), _Nowhere(shown[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = shown
