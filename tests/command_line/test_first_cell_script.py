"""The script of the README, without what it needs."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_without_a_token_it_says_what_to_export(tmp_path):
    script = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "first_cell.py").write_text(script)
    environment = {name: value for name, value in os.environ.items() if name != "KERNEL_GATEWAY_TOKEN"}
    done = subprocess.run([sys.executable, tmp_path / "first_cell.py"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "export KERNEL_GATEWAY_TOKEN first\n")
