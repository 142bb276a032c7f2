"""The warmed process that kernels are forked from.

Its law: exactly one thread, no secret, no descriptor but its own, and it is confined itself. A request carries six
sockets, a file and nothing else; what identifies a session comes to the child later, over the child's own channel.

Started with one argument, JSON: {"control": fd, "preload": [module, ...], "plan": the children's confinement,
"filter": hex of the template's own system call filter, or ""}.
Speaks JSON on `control`, a SOCK_SEQPACKET socket: asked {"id", "names"} with a descriptor for each name (and "home" and
"environment" where a child has no folders of its own making), it answers
{"id"} with a pidfd of the child, or {"id", "failed"}; it tells {"id", "status"} when a child has ended.
"""

import array
import gc
import importlib
import json
import os
import select
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from kernel_ext import confine, footprint, pages
from kernel_ext import system_calls as linux
from kernel_ext.app import AgentKernelApp, prepared, reseed
from kernel_ext.start import serve

_REQUEST_BYTES = 4096
_MAX_DESCRIPTORS = 8
_UNTIL_FAST = 8  # calls after which CPython 3.11 rewrites code for speed: better here than in every kernel


# What a first use imports and allocates, done once here, is shared by all kernels.
FIRST_USES = {
    "numpy": "import numpy; numpy.sqrt(numpy.linspace(0.0, 1.0, 10)).mean()",
    "pandas": "import pandas; pandas.DataFrame({'a': ['x', 'y'], 'b': [1.0, 2.0]}).groupby('a').b.mean().to_dict()",
    "PIL.Image": "import io; from PIL import Image\nImage.new('RGB', (4, 4)).resize((2, 2)).save(io.BytesIO(), 'PNG')",
}


class Template:
    def __init__(self, control: socket.socket, app: AgentKernelApp, plan: dict[str, Any], proc_fd: int) -> None:
        self._control, self._app, self._plan, self._proc_fd = control, app, plan, proc_fd
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._children: dict[int, tuple[int, int]] = {}  # pidfd: (pid, id)

    def announce(self) -> None:
        self._tell({"ready": True})

    def run(self) -> NoReturn:
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._control.fileno():
                    self._serve_request()
                else:
                    self._reap(fd)

    def _serve_request(self) -> None:
        data, fds, _, _ = socket.recv_fds(self._control, _REQUEST_BYTES, _MAX_DESCRIPTORS)
        if not data:
            os._exit(0)  # the gateway is gone, and the sandbox with it
        request = json.loads(data)
        try:
            pid = self._fork(dict(zip(request["names"], fds, strict=True)), request)
            pidfd = os.pidfd_open(pid)
            self._children[pidfd] = pid, request["id"]
            self._poll.register(pidfd, select.POLLIN)
            self._tell({"id": request["id"]}, [pidfd])
        except OSError as error:  # a child that nobody holds ends when the gateway closes its sockets
            self._tell({"id": request["id"], "failed": f"{error.strerror}"})
        finally:
            for fd in fds:
                os.close(fd)

    def _fork(self, fds: dict[str, int], request: dict[str, Any]) -> int:
        """The child's process id here; in its own namespace it is 1. Only the parent returns."""
        with confine.children_in_a_pid_namespace(self._plan):
            pid = os.fork()
        if pid == 0:
            self._become_kernel(fds, self._plan_of(request))
        return pid

    def _plan_of(self, request: dict[str, Any]) -> dict[str, Any]:
        if "home" not in request:
            return self._plan
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # what a preloaded module may have asked for was the template's
        return {**self._plan, "home": request["home"], "write": [request["home"]]}

    def _become_kernel(self, fds: dict[str, int], plan: dict[str, Any]) -> NoReturn:
        try:
            confine.die_with_parent()
            _close_all_but([*fds.values(), self._proc_fd])
            confine.leave_host(plan, self._proc_fd)
            confine.give_up(plan)
            reseed()
            gc.enable()
            channel, memory = fds.pop("channel"), fds.pop("memory")
            serve(self._app, fds, channel, memory)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)

    def _reap(self, pidfd: int) -> None:
        pid, id_ = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._tell({"id": id_, "status": os.waitstatus_to_exitcode(status)})

    def _tell(self, news: dict[str, Any], fds: Iterable[int] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._control.sendmsg([json.dumps(news).encode()], rights)


def _close_all_but(kept: Iterable[int]) -> None:
    last = 2
    for fd in sorted(kept):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))


def main() -> None:
    spec = json.loads(sys.argv[1])
    control = socket.socket(fileno=spec["control"])
    for module in spec["preload"]:
        importlib.import_module(module)
    app = prepared()
    first_uses = [FIRST_USES[module] for module in spec["preload"] if module in FIRST_USES]
    app.warm_up(first_uses)
    reseed()  # for the first time, which takes most steps
    footprint.gather(gc.get_objects())
    for _ in range(_UNTIL_FAST):
        app.warm_up(first_uses)
    proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads != 1:
        raise RuntimeError(f"a template must have one thread and has {threads}: a fork would lose the others")
    gc.collect()
    footprint.settle()
    gc.freeze()  # else a collection in a child would touch, and so copy, every page of the template's objects
    gc.disable()
    app.origin = pages.remember()
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    if spec["filter"]:
        confine.refuse_system_calls(bytes.fromhex(spec["filter"]))
    template = Template(control, app, spec["plan"], proc_fd)
    template.announce()
    template.run()


if __name__ == "__main__":
    main()
