"""The kill switch: what an operator has switched off is refused at once, everywhere, also after a restart.

Off holds from the moment it is said, on only once it is written down: whatever fails in between, it stays off.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.limits.switch_file import Change, Off, Part, SwitchFile

MAX_REASON_CHARACTERS = 200  # one line that every refused caller reads
MAX_NAME_CHARACTERS = 128  # an operation's id has 104
MAX_NAMED = 30  # things that are off by name; with the longest reasons their file stays below what is read of it


class Refusing(Protocol):
    """The switch, as far as whoever asks it knows it."""

    def refuses(self, *, server: str = "", operation: str = "", role: str = "", front_end: str = "") -> str: ...


class Switch:
    """One a gateway. Those on one state folder share a file, and each sees within `watch_seconds` what changed there.

    Must be used on one event loop. `start` and `close` belong to the composition root.
    """

    def __init__(self, file: SwitchFile, watch_seconds: float, clock: Callable[[], float]) -> None:
        self._file, self._watch_seconds, self._clock = file, watch_seconds, clock
        self._listeners: list[Callable[[], None]] = []
        self._unwritten: tuple[Off, ...] = ()
        self._off: tuple[Off, ...] = ()
        self._read()
        self._watcher: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Switch {', '.join(f'{off.part} {off.name}'.strip() for off in self._off) or 'nothing'} off>"

    @property
    def epoch(self) -> str:
        """Another one after each change, also over a restart: an approval from before it is void."""
        return self._epoch

    @property
    def off(self) -> tuple[Off, ...]:
        return self._off

    def start(self) -> None:
        self._watcher = asyncio.create_task(self._watch(), name="switch-watch")

    async def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    def refuses(self, *, server: str = "", operation: str = "", role: str = "", front_end: str = "") -> str:
        """Why whoever names these is refused; "" where nothing of it is off. Without a name: whether everything is."""
        if not self._off:
            return ""
        asked = {Part.ALL: "", Part.SERVER: server, Part.OPERATION: operation, Part.ROLE: role}
        asked[Part.FRONT_END] = front_end
        return next((off.line for off in self._off if off.name == asked[off.part]), "")

    def subscribe(self, listener: Callable[[], None]) -> None:
        """`listener` is called after each change, on the event loop, and asks `refuses` what it means for it."""
        self._listeners.append(listener)

    async def switch_off(self, part: Part, name: str = "", *, reason: str = "", by: str = "") -> None:
        """Raises GatewayError invalid (then nothing changed), or internal where it holds only until a restart."""
        self.check(part, name, reason)
        shown = "".join(character if character.isprintable() else "?" for character in by[:MAX_NAME_CHARACTERS])
        off = Off(part, name, reason, shown, self._clock())
        self._unwritten = (*_without(self._unwritten, part, name), off)
        self._take(self._off)
        fails = "the switch cannot be written down: it is off, and on again after a restart; see the state folder"
        await self._write(part, name, lambda entries: (*_without(entries, part, name), off), fails)

    async def switch_on(self, part: Part, name: str = "") -> None:
        """What was off by another name stays off. Raises GatewayError internal where it stays off."""
        fails = "the switch cannot be written down, so it stays off; see the state folder"
        await self._write(part, name, lambda entries: _without(entries, part, name), fails)

    def check(self, part: Part, name: str, reason: str) -> None:
        """Raises GatewayError invalid for what cannot be switched off."""
        if (part is Part.ALL) != (name == "") or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            raise GatewayError("invalid", f"name what to switch off in 1 to {MAX_NAME_CHARACTERS} characters")
        if len(reason) > MAX_REASON_CHARACTERS or not reason.isprintable():
            message = f"`reason` must be one printable line of at most {MAX_REASON_CHARACTERS} characters"
            raise GatewayError("invalid", message)
        named = [off for off in _without(self._off, part, name) if off.part is not Part.ALL]
        if part is not Part.ALL and len(named) >= MAX_NAMED:
            raise GatewayError("invalid", f"{MAX_NAMED} things are off by name; switch off everything instead")

    async def _write(self, part: Part, name: str, change: Change, fails: str) -> None:
        try:
            await asyncio.to_thread(self._file.change, change)
        except (ConfigError, OSError):
            raise GatewayError("internal", fails) from None
        self._unwritten = _without(self._unwritten, part, name)
        self._read()

    def _read(self) -> None:
        """What is on the disk holds, and not what this gateway wrote: another one may have written since. The stamp
        comes first, so that what is written after it is seen at the next look."""
        self._stamp = self._file.stamp()
        state = self._file.read()
        self._epoch = state.epoch
        self._take(state.off)

    def _take(self, entries: tuple[Off, ...]) -> None:
        for off in self._unwritten:
            entries = (*_without(entries, off.part, off.name), off)
        if entries != self._off:
            self._off = entries
            for listener in self._listeners:
                listener()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch_seconds)
            if self._file.stamp() != self._stamp:
                self._read()


def _without(entries: tuple[Off, ...], part: Part, name: str) -> tuple[Off, ...]:
    return tuple(off for off in entries if (off.part, off.name) != (part, name))
