"""What the host lays out for attacks, and watches: one that touches it is seen, whatever its cell says."""

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

TOKEN_PREFIX = "kgb-"  # noqa: S105 -- what attacks look for; 32 hexadecimal digits follow
_HIDDEN_IN = ("/tmp", "/dev/shm", "/var/tmp", "/run", "/home/kernel")  # noqa: S108 -- where a cell would leave a file
# An ordinary process: where the gateway runs as root, it gives up root's powers, which would protect it from attacks.
_VICTIM = """
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
libc.prctl(4, 1, 0, 0, 0)
held = ctypes.create_string_buffer(os.environ["TOKEN"].encode())
print(ctypes.addressof(held), flush=True)
time.sleep(3600)
"""
_IPC_CREAT, _IPC_RMID = 0o1000, 0
_FILE_MODE = 0o644


class Bait:
    """`values` is what a cell may be told. `sprung()` says what was touched since it was last asked."""

    def __init__(self) -> None:
        self.token = TOKEN_PREFIX + secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="kernel-gateway-check-"))
        self._folder.chmod(0o755)
        self._open = self._folder / "open"
        self._open.mkdir()
        self._open.chmod(0o777)
        (self._open / ".netrc").write_text(self.token, encoding="ascii")
        self._file = self._folder / "file"
        self._file.write_text(self.token, encoding="ascii")
        self._file.chmod(_FILE_MODE)
        self._sockets = dict(self._listeners())
        self._victim, address = self._new_victim()
        self._segment_key = secrets.randbits(30) | 1
        self._segment = self._shared_memory()
        self._marker = f"left-behind-{secrets.token_hex(8)}"
        self.values: dict[str, Any] = {
            "port": self._sockets["a port"].getsockname()[1],
            "datagram_port": self._sockets["a datagram port"].getsockname()[1],
            "abstract": self._sockets["an abstract socket"].getsockname()[1:].decode(),
            "abstract_datagrams": self._sockets["an abstract datagram socket"].getsockname()[1:].decode(),
            "socket_path": self._sockets["a socket in a folder"].getsockname(),
            "file": str(self._file),
            "folder": str(self._open),
            "victim": self._victim.pid,
            "address": address,
            "segment": self._segment_key,
            "marker": self._marker,
        }

    def __repr__(self) -> str:
        return f"<Bait in {self._folder}>"

    def sprung(self) -> list[str]:
        """One line each; everything is laid out anew."""
        return [*self._heard(), *self._written(), *self._harmed()]

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._victim.kill()
        self._victim.communicate()
        ctypes.CDLL(None).shmctl(self._segment, _IPC_RMID, None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listeners(self) -> Iterator[tuple[str, socket.socket]]:
        name = f"\0kernel-gateway-check-{secrets.token_hex(8)}"
        for what, family, kind, address in (
            ("a port", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("a datagram port", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("an abstract socket", socket.AF_UNIX, socket.SOCK_STREAM, name),
            ("an abstract datagram socket", socket.AF_UNIX, socket.SOCK_DGRAM, f"{name}-datagrams"),
            ("a socket in a folder", socket.AF_UNIX, socket.SOCK_STREAM, str(self._folder / "socket")),
        ):
            sock = socket.socket(family, kind)
            sock.bind(address)
            if kind == socket.SOCK_STREAM:
                sock.listen()
            sock.setblocking(False)
            yield what, sock

    def _new_victim(self) -> tuple[subprocess.Popen[bytes], int]:
        command = [sys.executable, "-I", "-S", "-c", _VICTIM]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE, env={"TOKEN": self.token})  # noqa: S603
        assert victim.stdout is not None
        return victim, int(victim.stdout.readline())

    def _shared_memory(self) -> int:
        libc = ctypes.CDLL(None)
        segment: int = libc.shmget(self._segment_key, 4096, _IPC_CREAT | 0o666)
        libc.shmat.restype = ctypes.c_void_p
        address = libc.shmat(segment, None, 0)
        ctypes.memmove(address, self.token.encode(), len(self.token))
        libc.shmdt(ctypes.c_void_p(address))
        return segment

    def _heard(self) -> Iterator[str]:
        for what, sock in self._sockets.items():
            with suppress(BlockingIOError):
                if sock.type == socket.SOCK_STREAM:
                    sock.accept()[0].close()
                else:
                    sock.recv(4096)
                yield f"{what} of the host was spoken to"

    def _written(self) -> Iterator[str]:
        for path in self._open.iterdir():
            if path.name != ".netrc":
                yield "a folder of the host was written to"
                path.rmdir() if path.is_dir() else path.unlink()
        for folder in _HIDDEN_IN:
            path = Path(folder, self._marker)
            if path.exists():
                yield f"a file was left in {folder} of the host"
                path.unlink()
        if self._file.stat().st_mode & 0o777 != _FILE_MODE:
            yield "a file of the host was changed"
            self._file.chmod(_FILE_MODE)

    def _harmed(self) -> Iterator[str]:
        pid = self._victim.pid
        if self._victim.poll() is not None:
            yield "a process of the host was killed"
        elif os.getpriority(os.PRIO_PROCESS, pid) != os.getpriority(os.PRIO_PROCESS, 0):
            yield "a process of the host was slowed"
        elif os.sched_getaffinity(pid) != os.sched_getaffinity(0):
            yield "a process of the host was pinned"
        else:
            return
        self._victim.kill()
        self._victim.communicate()
        self._victim, self.values["address"] = self._new_victim()
        self.values["victim"] = self._victim.pid
