"""Stands for a template: confines a child by a plan, and the child tells what it finds. Runs inside bubblewrap.

Three arguments: the plan as JSON, the name of one of the functions below, and the template's own filter in hex or "".
The child prints JSON.
"""

import ctypes
import errno
import json
import os
import resource
import sys
import traceback

from kernel_ext import confine
from kernel_ext import system_calls as linux


def tried(action):
    """What it returns, or the name of the error it ends with."""
    try:
        return action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def written(folder, size):
    with open(f"{folder}/filler", "wb") as file:
        return file.write(bytes(size))


def created(folder):
    """How many files there can be."""
    for count in range(100_000):
        try:
            open(f"{folder}/{count}", "x").close()
        except OSError:
            return count
    return -1


def identity(plan):
    return {
        "pid": os.getpid(),
        "uid": [*os.getresuid(), *os.getresgid()],
        "host": os.uname().nodename,
        "proc": tried(lambda: os.listdir("/proc")),
        "capabilities": linux.effective_capabilities(),
        "bounding": [linux.prctl(linux.PR_CAPBSET_READ, each) for each in range(41)],
        "dumpable": linux.prctl(3),
        "securebits": linux.prctl(27),
        "no_new_privs": linux.prctl(39),
        "home": os.getcwd(),
        "modes": [oct(os.stat(each["target"]).st_mode & 0o777) for each in plan["scratch"]],
        "descriptors": [fd for fd in range(3, 64) if tried(lambda fd=fd: os.fstat(fd)) != "EBADF"],
    }


def scratch(plan):
    found = {}
    for each in plan["scratch"]:
        folder = each["target"]
        fits, too_much = each["size_bytes"] // 2, each["size_bytes"] * 2
        found[folder] = {
            "fits": tried(lambda folder=folder, size=fits: written(folder, size)) == fits,
            "too_much": tried(lambda folder=folder, size=too_much: written(folder, size)),
        }
        tried(lambda folder=folder: os.unlink(f"{folder}/filler"))
        found[folder]["files"] = created(folder)
    return found


def ways_back(plan):
    return {
        "user namespace": tried(lambda: linux.unshare(linux.CLONE_NEWUSER)),
        "mount namespace": tried(lambda: linux.unshare(linux.CLONE_NEWNS)),
        "mount": tried(lambda: linux.mount("tmpfs", "/tmp", "tmpfs", 0)),
        "remount": tried(lambda: linux.mount("none", "/tmp", None, 32, "size=100%")),  # MS_REMOUNT
        "unmount": tried(lambda: linux.umount2("/tmp", linux.MNT_DETACH)),
        "proc": tried(lambda: linux.mount("proc", "/tmp", "proc", 0)),
        "chroot": tried(lambda: os.chroot("/tmp")),
        "host name": tried(lambda: linux.sethostname("other")),
        "another user": tried(lambda: os.setuid(0)),
        "capability": tried(lambda: linux.prctl(linux.PR_CAP_AMBIENT, 2, 21)),  # raise CAP_SYS_ADMIN
        "securebits": tried(lambda: linux.prctl(linux.PR_SET_SECUREBITS, 0)),
        "more files": tried(raise_a_limit),
        "device": tried(lambda: os.mknod("/tmp/zero", 0o20666, os.makedev(1, 5))),
        "program": tried(lambda: os.execv(sys.executable, [sys.executable, "-c", ""])),
    }


def raise_a_limit():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    except ValueError as error:
        raise OSError(errno.EPERM, "refused") from error


def neighbours(plan):
    """Who can be seen: only itself, though its template and a sibling live."""
    libc = ctypes.CDLL(None, use_errno=True)
    return [pid for pid in range(1, 200) if libc.kill(pid, 0) == 0 or ctypes.get_errno() != errno.ESRCH]


def files(plan):
    def read(path):
        with open(path, "rb") as file:
            return len(file.read(1))

    def write(path):
        with open(path, "wb") as file:
            return file.write(b"x")

    return {
        "library": tried(lambda: bool(os.listdir("/usr/lib"))),
        "root": tried(lambda: os.listdir("/")),
        "home": tried(lambda: write("file")),
        "moved": tried(lambda: os.rename("file", "/tmp/file")) or tried(lambda: os.rename("/tmp/file", "file")),
        "cut": tried(lambda: os.truncate("file", 0)),
        "outside": tried(lambda: write("/outside/file")),
        "made outside": tried(lambda: os.mkdir("/outside/folder")),
        "removed outside": tried(lambda: os.unlink("/outside/here")),
        "cut outside": tried(lambda: os.truncate("/outside/here", 0)),
        "linked from outside": tried(lambda: os.link("/outside/here", "here")),
        "read outside": tried(lambda: read("/outside/here")),
        "null": tried(lambda: write("/dev/null")),
        "zero": tried(lambda: read("/dev/zero")),
        "random": tried(lambda: read("/dev/urandom")),
        "full": tried(lambda: read("/dev/full")),
        "pipe": tried(lambda: os.mkfifo("pipe")),
    }


def fork(plan, proc_fd, work):
    with confine.children_in_a_pid_namespace(plan):
        child = os.fork()
    if child == 0:
        try:
            work(os.dup(proc_fd))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def main():
    plan, name = json.loads(sys.argv[1]), sys.argv[2]
    if own_filter := bytes.fromhex(sys.argv[3]):
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        confine.refuse_system_calls(own_filter)
    proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    wait, go = os.pipe()

    def sibling(fd):
        os.close(go)
        confine.leave_host(plan, fd)
        os.read(wait, 1)  # lives until its template ends

    def told(fd):
        os.close(proc_fd), os.close(wait), os.close(go)
        confine.leave_host(plan, fd)
        held = confine.give_up(plan)
        print(json.dumps({"held": held, "found": globals()[name](plan)}), flush=True)

    other = fork(plan, proc_fd, sibling)
    code = os.waitstatus_to_exitcode(os.waitpid(fork(plan, proc_fd, told), 0)[1])
    os.close(go)
    os.waitpid(other, 0)
    sys.exit(code)


if __name__ == "__main__":
    main()
