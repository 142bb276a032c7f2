"""A real Redis for one test, on a Unix socket. Debian's redis-tools holds the server too, under another name, and
installs no service that would start by itself."""

import asyncio
import os
import shutil
import signal


class RedisServer:
    """Started again it is another process on the same socket, and remembers nothing."""

    def __init__(self, folder):
        self._folder, self._process = folder, None
        self.url = f"redis+unix://{folder}/redis.sock"

    async def start(self):
        program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        assert program, "no Redis here: run `make dev`, which installs redis-tools"
        options = ("--port", "0", "--unixsocket", "redis.sock", "--save", "", "--dir", str(self._folder))
        self._process = await asyncio.create_subprocess_exec(
            "redis-server", *options, executable=program, cwd=self._folder, stdout=asyncio.subprocess.PIPE
        )
        while b"eady to accept connections" not in (line := await self._process.stdout.readline()):
            assert line, "Redis did not start"

    async def kill(self):
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None

    def freeze(self):
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self._process.pid, signal.SIGCONT)
