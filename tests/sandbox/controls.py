"""Kernels with holes: the same real ones, started without some of the layers that hold them."""

import os
import sys
from unittest.mock import patch

from kernel_gateway.kernels.launchers import bwrap
from kernel_gateway.kernels.launchers.processes import fresh_start, python_command
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.sandbox.images import KernelImage
from kernel_gateway.sandbox.spec import IMAGE as IMAGE_INSIDE
from kernel_gateway.sandbox.spec import compose, this_interpreter
from kernel_gateway.settings import Settings
from tests.conftest import IMAGE

# Without the gateway's caps: more than any of the attacks sends or asks.
GENEROUS_KERNEL = {
    "max_message_bytes": 1 << 30,
    "max_output_bytes": 1 << 30,
    "max_output_messages": 1_000_000,
    "max_messages_per_second": 1_000_000,
    "max_text_bytes": 1 << 30,
    "max_images": 1000,
}
GENEROUS_LIMITS = {
    "max_requests_per_cell": 1_000_000,
    "max_calls_per_cell": 1000,
    "max_calls_per_session": 10_000,
    "rates": {"search": [], "call": [], "operation": []},
    "budgets": {
        "execution": {"writes": 1000, "bytes": 1 << 40},
        "session": {"writes": 10_000, "bytes": 1 << 40},
        "tree": {"calls": 10_000, "writes": 10_000, "bytes": 1 << 40},
    },
}
# The host itself, with the user of these tests but none of root's powers.
_THE_HOST = ["--dev-bind", "/", "/", "--cap-drop", "ALL"]
_A_HOME = ["--tmpfs", "/home", "--dir", "/home/kernel", "--chdir", "/home/kernel", "--setenv", "HOME", "/home/kernel"]
_A_SECRET = ["--setenv", "PLANTED_SECRET", "planted"]
_WITH_CAPABILITIES = ["--uid", "0", "--gid", "0", "--cap-add", "ALL"]


class LauncherWithout:
    """bubblewrap's launcher less the `removed` layers. Without `root` or `namespaces` a kernel is on the host."""

    name = "bwrap"

    def __init__(self, removed):
        settings = Settings.of({"sandbox": {"image": str(IMAGE)}})
        self._image, self._removed = KernelImage.load(IMAGE), removed
        self._spec = compose(self._image, settings.sandbox, this_interpreter())
        self._on_host = bool(removed & {"root", "namespaces"})

    async def launch(self, fds):
        gone = self._removed | ({"landlock", "limits"} if self._on_host else set())
        plan = self._spec.without(*gone).plan(self.name)
        python, packages = sys._base_executable, str(self._image.packages)
        if not self._on_host:
            python, packages = str(self._spec.python), str(IMAGE_INSIDE)
        command = python_command(python, packages, "kernel_ext.start", fresh_start(fds, plan))
        left_open = os.open("/", os.O_RDONLY)
        given = [left_open] if "gateway" in self._removed else []
        try:
            with patch.object(bwrap, "arguments", self._arguments(bwrap.arguments)):
                return await bwrap.enter(self._spec, command, [*fds.values(), *given])
        finally:
            os.close(left_open)

    async def close(self):
        pass

    def _arguments(self, usual):
        def with_holes(spec, command, file_fds, information_fd, **named):
            if self._on_host:
                line = ["bwrap", *_THE_HOST, "--die-with-parent", *_A_HOME]
                return [*line, "--info-fd", str(information_fd), "--", *command]
            line = usual(spec, command, file_fds, information_fd, **named)
            if "gateway" in self._removed:
                line[-len(command) - 1 : -len(command) - 1] = _A_SECRET
            if "capabilities" not in self._removed:
                return line
            at = line.index("--disable-userns")
            return [*line[:at], *_WITH_CAPABILITIES, *line[at + len(bwrap._OF_A_KERNEL) :]]

        return with_holes


def kernel_settings_without(removed):
    return KernelSettings(**(GENEROUS_KERNEL if "gateway" in removed else {}))


def ground_settings_without(removed):
    if "gateway" not in removed:
        return {}
    return {"limits": LimitSettings(**GENEROUS_LIMITS), "deadline_seconds": 25.0}
