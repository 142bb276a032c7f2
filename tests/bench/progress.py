"""One line that says how far a long job is: on a terminal only, silent in a pipe."""

import sys
import time
from typing import TextIO

_REDRAW_SECONDS = 0.1


class Progress:
    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream, self._shown = stream, stream.isatty()
        self._next = 0.0

    def say(self, text: str) -> None:
        if self._shown:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()

    def count(self, name: str, done: int, total: int) -> None:
        """Often called, seldom drawn: drawing must not show in what is measured."""
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + _REDRAW_SECONDS
            self.say(f"{name}: {done} of {total}")

    def clear(self) -> None:
        self.say("")
