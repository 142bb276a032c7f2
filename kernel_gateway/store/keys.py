"""The gateway's own secrets: made on first use, one file each, readable by this user alone."""

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.private import create_secret, private_folder, read_secret, sync_folder

SECRET_BYTES = 32
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")


class Keys:
    """Secrets by name, in `<folder>/keys`. Two processes that ask at the same moment get the same key."""

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._folder = private_folder(folder / "keys")
        self._secrets: dict[str, bytes] = {}
        self._signing: dict[str, Ed25519PrivateKey] = {}
        self._made: set[str] = set()

    def __repr__(self) -> str:
        return f"<Keys {len(self._secrets) + len(self._signing)} loaded>"

    def secret(self, name: str) -> bytes:
        """The 32 bytes called `name`. Raises ConfigError where the file is damaged or others can open it."""
        if name not in self._secrets:
            path = self._path(name, "key")
            content, is_new = _load_or_create(path, lambda: secrets.token_bytes(SECRET_BYTES))
            if is_new:
                self._made.add(name)
            if len(content) != SECRET_BYTES:
                raise _damaged(path)
            self._secrets[name] = content
        return self._secrets[name]

    def has_made(self, name: str) -> bool:
        """Whether there was no secret `name` before it was asked for here."""
        return name in self._made

    def has(self, name: str) -> bool:
        """Whether there is a secret `name`. Raises ConfigError as `secret` does."""
        return name in self._secrets or read_secret(self._path(name, "key")) is not None

    def replace(self, name: str, by: str) -> None:
        """Puts the secret `by` into the place of `name`, in one step. On the disk when this returns."""
        self.secret(by)
        self._path(by, "key").replace(self._path(name, "key"))
        sync_folder(self._folder)
        self._secrets[name] = self._secrets.pop(by)

    @contextmanager
    def held(self, *, alone: bool = False) -> Iterator[None]:
        """While the context lasts nobody changes the keys; `alone`: nor uses them. Raises ConfigError."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _lock(descriptor, alone=alone)
            yield
        finally:
            os.close(descriptor)

    def signing(self, name: str = "signing") -> Ed25519PrivateKey:
        """A key that signs what the gateway says to others. Raises ConfigError as `secret` does."""
        if name not in self._signing:
            path = self._path(name, "pem")
            content, _ = _load_or_create(path, _new_signing_key)
            try:
                key = load_pem_private_key(content, password=None)
            except (ValueError, TypeError) as error:
                raise _damaged(path) from error
            if not isinstance(key, Ed25519PrivateKey):
                raise _damaged(path)
            self._signing[name] = key
        return self._signing[name]

    def _path(self, name: str, suffix: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a key name")
        return self._folder / f"{name}.{suffix}"


def _lock(descriptor: int, *, alone: bool) -> None:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        who = "a gateway runs on it; stop it first" if alone else "`kernel-gateway keys rotate` runs; start after it"
        raise ConfigError(f"the keys cannot be used now: {who}") from None


def _load_or_create(path: Path, create: Callable[[], bytes]) -> tuple[bytes, bool]:
    """The content, and whether it is new."""
    content = read_secret(path)
    if content is not None:
        return content, False
    content = create()
    if create_secret(path, content):
        return content, True
    return read_secret(path) or b"", False


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _damaged(path: Path) -> ConfigError:
    return ConfigError(f"the key `{path}` is damaged; restore it from a backup, or remove it to have a new one made")
