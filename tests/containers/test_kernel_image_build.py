"""The build of the kernel image says why it failed, although it is quiet."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_package_that_is_not_the_locked_one_is_named_and_nothing_is_built(tmp_path):
    (tmp_path / "thing-1.0-py3-none-any.whl").write_bytes(b"not what was locked")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"--no-index\n--find-links {tmp_path}\nthing==1.0 --hash=sha256:{'0' * 64}\n")
    command = [sys.executable, "containers/build_kernel_image.py", str(tmp_path / "image"), str(lock)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 1
    assert "DO NOT MATCH THE HASHES" in built.stderr
    assert "Traceback" not in built.stderr
    assert "WARNING" not in built.stderr
    assert built.stderr.splitlines()[-1] == "kernel image: its packages cannot be installed, so it was not built"
    assert not (tmp_path / "image" / "requirements.txt").exists()
