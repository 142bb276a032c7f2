"""`kernel-gateway` for rehearsals, loaded once: `python warm.py SOCKET` forks a process for each command that is typed.

What runs is the command itself, in its own process, with the folder, environment and streams of whoever typed it; only
the seconds that each of some thirty commands would take to load are saved. `client(SOCKET)` is the program to type.
"""

import json
import os
import socket
import sys

from kernel_gateway import __main__


def client(path):
    """The text of a program that has its command run by the server at `path`."""
    return f"""#!{sys.executable} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({str(path)!r})
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [asked], [0, 1, 2])
sys.exit(int(server.recv(8) or b"70"))
"""


def run(asked, streams):
    """In a process of its own; never returns."""
    arguments, folder, environment = json.loads(asked)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = 70
    try:
        code = __main__.main(arguments)
    except SystemExit as left:
        code = left.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    while True:
        asker, _ = listener.accept()
        asked, streams, _, _ = socket.recv_fds(asker, 1024 * 1024, 3)
        if not (child := os.fork()):
            run(asked, streams)
        for descriptor in streams:
            os.close(descriptor)
        asker.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
        asker.close()


if __name__ == "__main__":
    serve(sys.argv[1])
