"""Records what a kernel uses of its template: record_footprint.py PACKAGES FILE. See kernel_ext/footprint.py.

A kernel is started in this process and runs a few cells, while a profiler notes the code that is called. FILE then
holds the names that this code mentions, a line each, an empty line, and the code itself: file, name and line by tabs.
"""

import os
import socket
import sys
import tempfile
import threading
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

sys.path.insert(0, sys.argv[1])

import zmq
from tornado.ioloop import IOLoop

from kernel_ext import confine, landlock, start, system_calls, template
from kernel_ext.app import PORTS, AgentKernelApp, prepared, reseed
from kernel_ext.footprint import identity
from kernel_ext.wire import Kind, Message, encode

_CELLS = ("1 + 1", "print('said')", "text = 'a' * 3\ntext", "undefined_name")
_CLAIM = {"key": "0", "manifest": {"version": 1, "servers": {}}, "execution_count": 1}


def main() -> None:
    for module in template.FIRST_USES:
        __import__(module)
    app = prepared()
    used: dict[CodeType, None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            used[frame.f_code] = None

    async def script() -> None:
        for cell in (*_CELLS, *template.FIRST_USES.values()):
            await app.kernel.shell_main(None, request(app, cell))
        sys.setprofile(None)
        threading.setprofile(None)
        write(Path(sys.argv[2]), [*used, *unrecordable()])
        os._exit(0)

    IOLoop.current().add_callback(script)
    gateway, kernel = socket.socketpair()
    for frame in encode(Message(Kind.CLAIM, 0, _CLAIM)):
        gateway.sendall(frame)
    with tempfile.TemporaryDirectory() as folder:
        sockets = listening(Path(folder))
    start.leave_standard_streams = lambda: None
    threading.setprofile(note)
    sys.setprofile(note)
    reseed()
    start.serve(app, sockets, kernel.detach(), -1)


def listening(folder: Path) -> dict[str, int]:
    found = {}
    for name in PORTS:
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(folder / name))
        one.listen()
        found[name] = one.detach()
    return found


def request(app: AgentKernelApp, code: str) -> list[zmq.Frame]:
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
    parts = app.session.serialize(app.session.msg("execute_request", content), [b"nobody"])
    return [zmq.Frame(part) for part in parts]


def unrecordable() -> list[CodeType]:
    """What a kernel does that this process must not do to itself."""
    modules: tuple[ModuleType, ...] = (confine, landlock, system_calls)
    found = [each for module in modules for each in vars(module).values() if isinstance(each, FunctionType)]
    methods = [each for each in vars(template.Template).values() if isinstance(each, FunctionType)]
    return [each.__code__ for each in (*found, *methods)]


def write(path: Path, used: list[CodeType]) -> None:
    names = dict.fromkeys(name for code in used for name in mentioned(code) if name and name.isprintable())
    codes = ("\t".join(identity(code)) for code in used)
    path.write_text("\n".join(names) + "\n\n" + "\n".join(dict.fromkeys(codes)), encoding="utf-8")


def mentioned(code: CodeType) -> list[str]:
    """The names that CPython interns for `code`, and for the functions that it makes."""
    names = [code.co_name, code.co_qualname, *code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars]
    for constant in code.co_consts:
        if isinstance(constant, str) and constant.isidentifier():
            names.append(constant)
        elif isinstance(constant, tuple):
            names += [each for each in constant if isinstance(each, str) and each.isidentifier()]
        elif isinstance(constant, CodeType):
            names += [constant.co_name, constant.co_qualname]
    return names


if __name__ == "__main__":
    main()
