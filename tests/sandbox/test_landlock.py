"""Landlock by itself, for real: a plain child process, with no other layer around it."""

import json
import socket
import subprocess
import sys

import pytest

from kernel_ext.landlock import version

pytestmark = pytest.mark.skipif(version() == 0, reason="this Linux has no Landlock, or it is switched off")

RESTRICTED = """
import errno, json, os, signal, socket, sys
from kernel_ext import landlock
from kernel_ext.system_calls import PR_SET_NO_NEW_PRIVS, prctl

spec = json.loads(sys.argv[1])
prctl(PR_SET_NO_NEW_PRIVS, 1)
if spec["known"]:
    landlock.version = lambda: spec["known"]
used = landlock.restrict(spec["read"], spec["write"])

def tried(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def connect(family, address):
    with socket.socket(family) as client:
        client.connect(address)

def there(name, mode):
    return lambda: open(name, mode).close()

found = {name: tried(eval(code)) for name, code in spec["tries"].items()}
print(json.dumps([used, found]))
"""


def tried(tries, read=(), write=(), known=0):
    """{name: "done", or the name of the error} of each expression, and the version used; in a restricted child."""
    spec = {"read": list(read), "write": list(write), "known": known, "tries": tries}
    command = [sys.executable, "-c", RESTRICTED, json.dumps(spec)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def folders(tmp_path):
    """A folder to read, one to write, one of neither, each with a file; and a single file of the third to read."""
    for name in ("read", "write", "neither"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
    (tmp_path / "neither" / "alone").write_text("text")
    return tmp_path


def test_files_can_be_read_and_written_where_it_was_said_and_nowhere_else(folders):
    tries = {}
    for name in ("read", "write", "neither"):
        at = f"{folders}/{name}"
        tries |= {
            f"{name}: read": f"there('{at}/file', 'rb')",
            f"{name}: list": f"lambda: os.listdir('{at}')",
            f"{name}: write": f"there('{at}/file', 'r+')",
            f"{name}: cut": f"lambda: os.truncate('{at}/file', 1)",
            f"{name}: create": f"there('{at}/new', 'x')",
            f"{name}: folder": f"lambda: os.mkdir('{at}/folder')",
            f"{name}: link": f"lambda: os.symlink('file', '{at}/link')",
            f"{name}: pipe": f"lambda: os.mkfifo('{at}/pipe')",
            f"{name}: remove": f"lambda: os.unlink('{at}/file')",
            f"{name}: run": f"lambda: os.execv('{at}/alone', ['x'])",
        }
    _, found = tried(tries, [f"{folders}/read", f"{folders}/neither/alone", f"{folders}/absent"], [f"{folders}/write"])
    done = {name for name, outcome in found.items() if outcome == "done"}
    kinds = {"read", "list", "write", "cut", "create", "folder", "link", "remove"}
    assert done == {"read: read", "read: list", *(f"write: {kind}" for kind in kinds)}
    others = {name: outcome for name, outcome in found.items() if name not in done}
    assert {outcome for name, outcome in others.items() if not name.endswith("run")} == {"EACCES"}


def test_a_single_file_can_be_opened_to_reading(folders):
    alone = f"{folders}/neither/alone"
    tries = {"alone": f"there('{alone}', 'rb')", "changed": f"there('{alone}', 'r+')"}
    tries["beside"] = f"there('{folders}/neither/file', 'rb')"
    assert tried(tries, [alone])[1] == {"alone": "done", "changed": "EACCES", "beside": "EACCES"}


def test_no_program_can_be_run_not_even_one_that_can_be_read():
    assert tried({"run": "lambda: os.execv('/bin/true', ['true'])"}, ["/"])[1] == {"run": "EACCES"}


def test_harmless_devices_stay_open_and_others_do_not():
    names = {name: f"there('/dev/{name}', 'rb')" for name in ("null", "zero", "random", "urandom", "full", "tty")}
    _, found = tried({**names, "null written": "there('/dev/null', 'wb')", "zero written": "there('/dev/zero', 'wb')"})
    assert {name for name, outcome in found.items() if outcome == "done"} == {
        "null", "zero", "random", "urandom", "null written",
    }  # fmt: skip


@pytest.mark.skipif(version() < 6, reason="scopes came with version 6 of Landlock")
def test_no_abstract_socket_no_process_and_no_port_outside_can_be_reached():
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket() as port:
        abstract.bind("\0landlock-test")
        abstract.listen()
        port.bind(("127.0.0.1", 0))
        port.listen()
        tries = {
            "abstract": "lambda: connect(socket.AF_UNIX, '\\0landlock-test')",
            "signal": "lambda: os.kill(os.getppid(), 0)",
            "itself": "lambda: os.kill(os.getpid(), 0)",
            "port": f"lambda: connect(socket.AF_INET, {port.getsockname()})",
        }
        expected = {"abstract": "EPERM", "signal": "EPERM", "itself": "done", "port": "EACCES"}
        assert tried(tries)[1] == expected
        reached = tried(tries, known=3)[1]  # the control: what an older Landlock leaves to the other layers
        assert reached == dict.fromkeys(tries, "done")


@pytest.mark.parametrize("known", range(1, version() + 1))
def test_every_version_up_to_this_one_is_used_for_what_it_knows(folders, known):
    tries = {"read": f"there('{folders}/read/file', 'rb')", "write": f"there('{folders}/neither/new', 'x')"}
    assert tried(tries, [f"{folders}/read"], known=known) == [known, {"read": "done", "write": "EACCES"}]
