"""The shell of a session: IPython, without the ways in which a cell ends it by accident."""

import warnings
from typing import Any, NoReturn

from ipykernel.zmqshell import ZMQInteractiveShell

_NOTHING_TO_EXIT = "a session ends by itself when it is idle; there is nothing to exit"


class NoExit:
    """What `exit` and `quit` are."""

    def __repr__(self) -> str:
        return _NOTHING_TO_EXIT

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        __tracebackhide__ = True
        raise RuntimeError(_NOTHING_TO_EXIT)


class AgentShell(ZMQInteractiveShell):  # type: ignore[misc]
    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        # Said after every SystemExit; here it is wrong.
        warnings.filterwarnings("ignore", message="To exit: use")

    def init_user_ns(self) -> None:
        """Also what `%reset` leaves."""
        super().init_user_ns()
        names = dict.fromkeys(("exit", "quit"), NoExit())
        self.user_ns.update(names)
        self.user_ns_hidden.update(names)

    def ask_exit(self) -> NoReturn:
        raise RuntimeError(_NOTHING_TO_EXIT)

    def _update_exit_now(self, change: Any) -> None:
        """ipykernel would stop here; a kernel is ended by its gateway."""
