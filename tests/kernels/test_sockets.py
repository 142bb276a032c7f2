"""The sockets' folders: private, short, and gone when nobody needs them."""

import os
import stat
import subprocess
import sys
import tempfile

from kernel_gateway.kernels.sockets import KernelSockets, sweep


def test_the_folder_is_private_and_goes_with_its_sockets():
    sockets = KernelSockets.open()
    assert stat.S_IMODE(sockets.folder.stat().st_mode) == 0o700
    assert len(str(sockets.folder / "k-5")) < 107
    sockets.close()
    assert not sockets.folder.exists()


def test_what_a_killed_gateway_left_is_swept_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = (
        "import os, signal\nfrom kernel_gateway.kernels.sockets import KernelSockets\n"
        "KernelSockets.open()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", killed], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    (left,) = tmp_path.iterdir()
    mine = KernelSockets.open()
    (tmp_path / "kg-notes").mkdir()
    (tmp_path / f"kg-{os.getpid()}x-1").mkdir()
    sweep()
    assert not left.exists()
    assert mine.folder.exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path != mine.folder) == [
        f"kg-{os.getpid()}x-1",
        "kg-notes",
    ]
    mine.close()
