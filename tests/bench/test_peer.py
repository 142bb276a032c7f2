"""The peer runs here with the kernel image's ipykernel: what it is compared with is not what is tested."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = Path(__file__).parents[2] / "build" / "kernel" / "site-packages"


def test_a_peer_leaves_nothing_behind_where_it_ran_nor_among_the_temporary_files(tmp_path):
    (tmp_path / "here").mkdir()
    temporary = Path(tempfile.mkdtemp())  # a socket's path holds 107 bytes, and `tmp_path` may have most of them
    own = {name: str(tmp_path / name.lower()) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    environment = {**os.environ, **own, "PYTHONPATH": str(PACKAGES), "TMPDIR": str(temporary)}
    questions = [{"do": "start", "code": "1"}, {"do": "cell", "code": "1"}, {"do": "stop"}]
    answered = subprocess.run(
        [sys.executable, Path(__file__).with_name("peer.py")],
        input="".join(json.dumps(each) + "\n" for each in questions),
        cwd=tmp_path / "here", env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert answered.returncode == 0, answered.stderr
    assert [json.loads(line) is None for line in answered.stdout.splitlines()] == [False, False, True]
    assert [*(tmp_path / "here").iterdir(), *temporary.iterdir()] == []
    temporary.rmdir()
