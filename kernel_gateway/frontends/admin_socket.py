"""Where the admin socket is: a name in the state folder that belongs to one live gateway, and how to reach it."""

import fcntl
import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.private import private_file, private_folder


@contextmanager
def admin_socket(folder: Path) -> Iterator[socket.socket]:
    """A listening socket of mode 0600: `admin.sock`, or `admin-2.sock` and so on while other gateways live here.

    What a dead gateway left is taken over: its name is free once its lock is. Raises ConfigError.
    """
    private_folder(folder)
    for number in itertools.count(1):
        name = "admin" if number == 1 else f"admin-{number}"
        lock = folder / f"{name}.lock"
        private_file(lock)
        with lock.open("r+b") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            with _listening(folder, f"{name}.sock") as made:
                yield made
            return


@contextmanager
def _listening(folder: Path, name: str) -> Iterator[socket.socket]:
    path = folder / name
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        os.fchmod(made.fileno(), 0o600)  # before it has a name: bind(2) gives the file this mode
        with reachable(folder) as short:
            made.bind(str(short / name))
        made.setblocking(False)
        made.listen()
    except OSError as error:
        made.close()
        raise ConfigError(
            f"cannot make the admin socket in `{folder}`: {error.strerror}; name another folder"
        ) from error
    try:
        yield made
    finally:
        path.unlink(missing_ok=True)
        made.close()


@contextmanager
def reachable(folder: Path) -> Iterator[Path]:
    """`folder` by a short name: a socket's address holds 107 bytes, and a path may be longer."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def admin_sockets(folder: Path) -> list[str]:
    """The names of those in `folder`, live or not."""
    return sorted(path.name for path in folder.glob("admin*.sock"))
