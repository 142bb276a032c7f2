"""A fresh container per kernel, made by an OCI runtime: runc or crun, as root or as an ordinary user.

The bundle is made from the same spec as every other sandbox. Source: OCI runtime specification 1.0.2.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.launchers.cgrouped import CgroupedProcess, KernelCgroups
from kernel_gateway.kernels.launchers.processes import (
    ChildProcess,
    descendants,
    fresh_start,
    python_command,
    spawn,
    tied_to_parent,
)
from kernel_gateway.sandbox.cgroups import Cgroup
from kernel_gateway.sandbox.owned import owned
from kernel_gateway.sandbox.spec import HOME, IMAGE, UID, SandboxSpec

_FIRST_FD = 3  # a runtime passes on the descriptors that follow standard error, `--preserve-fds` of them
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # an ordinary user's PATH may lack sbin
_HOST_UID = 65534  # of a kernel under root: nobody's, so that its limits count and nothing of the host is its own
# The runtime makes its own cgroup within the one it is in: so it joins the kernel's before it runs.
_BECOME_RUNTIME = (
    "import fcntl, json; given, joined, line = json.loads(sys.argv[1]); "
    "[open(path, 'w').write('0') for path in joined]; "
    "[os.set_inheritable(fd, False) for fd in given]; "
    "given = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in given]; "
    f"[os.dup2(fd, {_FIRST_FD} + place) for place, fd in enumerate(given)]; os.execv(line[0], line)"
)
_NAMESPACES = ("user", "pid", "mount", "network", "ipc", "uts", "cgroup")
_CAPABILITY_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


def container(spec: SandboxSpec, command: list[str], uid: int) -> dict[str, Any]:
    """config.json. `uid` is this process's: root gives the kernel another, an ordinary user has but its own to give."""
    inside = 0 if uid else UID
    mounts = [_mount("/proc", "proc", "nosuid", "noexec", "nodev", "ro", "subset=pid")]
    bind, empty = ("bind", "ro", "nosuid", "nodev"), ("ro", "nosuid", "nodev", "noexec", "size=4096")
    mounts += [_mount(mount.target, "bind", *bind, source=f"{mount.source}") for mount in spec.mounts]
    mounts += [_mount(target, "tmpfs", *empty) for target in spec.hidden]
    mounts.append(_mount("/dev", "tmpfs", "nosuid", "noexec", "mode=755", "size=65536"))
    for scratch in spec.scratch:
        owner = [
            f"uid={inside}",
            f"gid={inside}",
            "mode=700",
            f"size={scratch.size_bytes}",
            f"nr_inodes={scratch.inodes}",
        ]
        mounts.append(_mount(scratch.target, "tmpfs", "nosuid", "nodev", "noexec", *owner))
    return {
        "ociVersion": "1.0.2",
        "hostname": "kernel",
        "root": {"path": "root", "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": inside, "gid": inside},
            "args": command,
            "env": [f"{name}={value}" for name, value in spec.environment.items()],
            "cwd": f"{HOME}",
            "noNewPrivileges": True,
            "capabilities": {each: [] for each in _CAPABILITY_SETS},
        },
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": each} for each in _NAMESPACES],
            "uidMappings": _mappings(uid),
            "gidMappings": _mappings(uid, os.getegid()),
            "readonlyPaths": ["/dev"],
        },
    }


def _mount(target: object, kind: str, *options: str, source: str = "") -> dict[str, Any]:
    return {"destination": f"{target}", "type": kind, "source": source or kind, "options": list(options)}


def _mappings(uid: int, host_id: int | None = None) -> list[dict[str, int]]:
    """Of the runtime's own id, which sets up the container; and, under root, of the kernel's."""
    own = {"containerID": 0, "hostID": uid if host_id is None else host_id, "size": 1}
    return [own] if uid else [own, {"containerID": UID, "hostID": _HOST_UID, "size": 1}]


class OciProcess(ChildProcess):
    """The runtime, which stays as the container's parent. `folder` holds the bundle and the runtime's own state."""

    def __init__(self, process: Process, runtime: str, folder: Path) -> None:
        super().__init__(process)
        self._runtime, self._folder = runtime, folder

    async def _end(self) -> int:
        """Until the container is gone too, and whatever the runtime had to leave of it."""
        code = await super()._end()
        if (self._folder / "state" / self._folder.name).exists():  # the runtime was killed before it could clean up
            delete = [self._runtime, "--root", f"{self._folder / 'state'}", "delete", "--force", self._folder.name]
            removal = await spawn(self._runtime, delete, (), {"PATH": _SEARCHED})
            await removal.communicate()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        return code

    def send_signal(self, signum: int) -> None:
        """To the container's processes: the runtime sees them end, cleans up and tells how it went."""
        if self.returncode is not None:
            return
        inside = descendants(self.pid) - {self.pid}
        for pid in inside:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
        if not inside:
            super().send_signal(signum)


class OciLauncher:
    name = "oci"

    def __init__(self, spec: SandboxSpec, runtime: str, cgroups: KernelCgroups | None) -> None:
        self._spec, self._runtime, self._cgroups = spec, runtime, cgroups

    def __repr__(self) -> str:
        return f"<OciLauncher {self._runtime} image={self._spec.image_digest[:12]}>"

    async def launch(self, fds: Mapping[str, int]) -> OciProcess | CgroupedProcess:
        if (runtime := shutil.which(self._runtime, path=_SEARCHED)) is None:
            advice = f"run `apt-get install {self._runtime}`, or set sandbox.oci_runtime"
            raise GatewayError("sandbox", f"`{self._runtime}` is not installed; {advice}")
        places = {name: place for place, name in enumerate(fds, start=_FIRST_FD)}
        start = fresh_start(places, self._spec.plan(self.name))
        command = python_command(f"{self._spec.python}", f"{IMAGE}", "kernel_ext.start", start)
        config = container(self._spec, command, os.geteuid())
        folder, cgroup = Path(tempfile.mkdtemp(prefix=owned(""))), None
        try:
            await asyncio.to_thread(_write_bundle, folder, self._spec, config)
            cgroup = self._cgroups.create() if self._cgroups else None
            process = await self._run(runtime, folder, fds, cgroup)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if cgroup is not None:
                await cgroup.remove()
            raise
        return process if cgroup is None else CgroupedProcess(process, cgroup, moves=False)

    async def _run(self, runtime: str, folder: Path, fds: Mapping[str, int], cgroup: Cgroup | None) -> OciProcess:
        run = [runtime, "--root", f"{folder / 'state'}", "run", "--preserve-fds", f"{len(fds)}"]
        joined = [f"{each / 'cgroup.procs'}" for each in cgroup.folders] if cgroup else []
        argument = json.dumps([list(fds.values()), joined, [*run, "--bundle", f"{folder}", folder.name]])
        line = [sys.executable, "-ISc", tied_to_parent(os.getpid()) + _BECOME_RUNTIME, argument]
        return OciProcess(await spawn(sys.executable, line, fds.values(), {"PATH": _SEARCHED}), runtime, folder)

    async def close(self) -> None:
        """Each kernel is a container of its own; nothing else runs."""


def _write_bundle(folder: Path, spec: SandboxSpec, config: Mapping[str, Any]) -> None:
    """The root holds only what has no mount: a few small files, and places to mount on."""
    folder.chmod(0o711)  # under root the kernel has an id of its own, and has to reach its root folder
    root = folder / "root"
    for path, text in spec.files.items():
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / path.lstrip("/")).write_text(text)
    for source, target in spec.links:
        (root / target.relative_to("/")).symlink_to(source)
    (folder / "config.json").write_text(json.dumps(config))
