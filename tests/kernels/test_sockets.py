"""The sockets' folders: private, short, and gone when nobody needs them."""

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kernel_gateway.kernels.sockets import KernelSockets, sweep
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.sandbox.owned import remove
from kernel_gateway.settings import Settings
from tests.conftest import EMPTY_MANIFEST, IMAGE, refuse


@pytest.fixture
def launcher():
    kernels = {"launcher": "filtered", "preload": []}
    return kernel_launcher(Settings.of({"sandbox": {"image": str(IMAGE)}, "kernels": kernels}))


def test_the_folder_is_private_and_goes_with_its_sockets():
    sockets = KernelSockets.open()
    assert stat.S_IMODE(sockets.folder.stat().st_mode) == 0o700
    assert len(str(sockets.folder / "k-5")) < 107
    sockets.close()
    assert not sockets.folder.exists()


def test_a_kernels_sockets_do_not_say_where_on_the_host_they_are():
    sockets = KernelSockets.open()
    names = [sock.getsockname() for sock in sockets.inherited.values()]
    assert not any(str(sockets.folder.parent).encode() in str(name).encode() for name in names), names
    assert sorted(path.name for path in sockets.folder.iterdir()) == [f"k-{port}" for port in range(1, 6)]
    sockets.close()


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


DIG = "import os\nfor _ in range(1200):\n    os.mkdir('d'); os.chdir('d')"  # deeper than Python descends


def test_what_a_cell_left_goes_however_deep_it_lies_and_whatever_its_mode(tmp_path):
    left, kept = tmp_path / "left", tmp_path / "kept"
    (kept / "inside").mkdir(parents=True)
    left.mkdir()
    (left / "elsewhere").symlink_to(kept)
    (left / "wide").mkdir()
    for name in ("a", "b"):
        (left / "wide" / name).mkdir()
        (left / "wide" / name / "file").write_text("text")
    (left / "wide").chmod(0o300)
    subprocess.run([sys.executable, "-c", f"{DIG}\nos.chmod('.', 0)"], cwd=left, check=True)
    (tmp_path / "link").symlink_to(kept)
    for each in (left, tmp_path / "link", tmp_path / "absent"):
        remove(each)
    assert not left.exists()
    assert (kept / "inside").is_dir()


async def test_a_kernel_without_namespaces_that_dug_too_deep_is_gone_with_its_folder(start_kernel, launcher):
    kernel = await start_kernel()
    await kernel.claim(EMPTY_MANIFEST, refuse, 1)
    outcome = await kernel.run(f"{DIG}\nprint(os.environ['HOME'])", 30, asyncio.get_running_loop().create_future())
    home = Path(outcome.outputs.stdout.strip())
    assert home.exists()
    await kernel.stop()
    assert kernel.gone.done()
    assert not home.exists()
