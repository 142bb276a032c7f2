"""Folders and files that only this user can open."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from kernel_gateway.errors import ConfigError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
MAX_SECRET_BYTES = 64 * 1024  # far more than any key; what is longer is damaged


def private_folder(path: Path) -> Path:
    """Creates `path` and what is missing above it with mode 0700, or accepts a folder of this user's or root's that
    nobody else can write to. Raises ConfigError."""
    try:
        _make(path)
        status = path.lstat()
    except OSError as error:
        raise ConfigError(f"cannot use the folder `{path}`: {error.strerror}; name another one") from error
    if not stat.S_ISDIR(status.st_mode):  # a link: whoever made it could lead us elsewhere later
        raise ConfigError(f"`{path}` is a symbolic link; name the folder itself")
    if not _is_ours(status):
        raise ConfigError(f"the folder `{path}` belongs to another user; run chown on it or name another one")
    # A folder that others may list is tolerable, for every file in it is 0600; one they may write to is not:
    # they could put their own file in the place of ours.
    if status.st_mode & OTHERS_WRITE:
        raise ConfigError(f"others can write to the folder `{path}`; run chmod 700 on it or name another one")
    return path


def _make(path: Path) -> None:
    """Not mkdir's `parents`: it leaves those to the umask."""
    if not path.is_dir():
        if path.parent != path:
            _make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())  # who owns a file can open it to everybody


def private_file(path: Path) -> None:
    """Makes sure that `path` exists and that only this user can open it. Raises ConfigError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not _is_ours(os.fstat(descriptor)):
                raise ConfigError(f"the file `{path}` belongs to another user; remove it or name another folder")
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"cannot use the file `{path}`: {error.strerror}; name another folder") from error


def read_secret(path: Path) -> bytes | None:
    """The content of a secret file, or None where there is none. Raises ConfigError where others can open it."""
    try:
        # O_NONBLOCK: a pipe in the place of the file must not hold us up
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read the key `{path}`: {error.strerror}; restore it from a backup") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"the key `{path}` is not a regular file; remove it to have a new one made")
        if not _is_ours(status):
            raise ConfigError(f"the key `{path}` belongs to another user; remove it to have a new one made")
        if status.st_mode & OTHERS:
            raise ConfigError(f"others can open the key `{path}`; run chmod 600 on it, or remove it to replace it")
        return os.read(descriptor, MAX_SECRET_BYTES)
    finally:
        os.close(descriptor)


def create_secret(path: Path, content: bytes) -> bool:
    """Writes `content` whole or not at all, with mode 0600; False where the file existed already."""
    with _draft(path, content) as draft, contextlib.suppress(FileExistsError):
        os.link(draft, path)  # unlike a rename, never replaces a key that another process has just made
        sync_folder(path.parent)
        return True
    return False


def replace_secret(path: Path, content: bytes) -> None:
    """As `create_secret`, in the place of what was there. On the disk when this returns."""
    with _draft(path, content) as draft:
        draft.replace(path)
        sync_folder(path.parent)


@contextlib.contextmanager
def _draft(path: Path, content: bytes) -> Iterator[Path]:
    """A file beside `path` with all of `content`, on the disk."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
