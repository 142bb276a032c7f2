"""Tests that need what a kernel can import: all of a file run in one process that has the kernel image's packages."""

import functools
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable

from tests.conftest import IMAGE, ROOT


def environment() -> dict[str, str]:
    paths = os.pathsep.join((str(ROOT), str(IMAGE / "site-packages")))
    return {**os.environ, "PYTHONPATH": paths, "MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": "1"}


def in_image(test: Callable[[], None]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        failure = _results(test.__module__)[test.__name__]
        assert failure is None, failure

    return run


@functools.cache
def _results(module: str) -> dict[str, str | None]:
    command = [sys.executable, "-m", "tests.kernel_ext.checkpoint.in_image", module]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.rpartition("\n")[2]))


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    results: dict[str, str | None] = {}
    for name, test in vars(module).items():
        if name.startswith("test_") and hasattr(test, "__wrapped__"):
            try:
                test.__wrapped__()
                results[name] = None
            except BaseException:
                results[name] = traceback.format_exc()
    sys.__stdout__.write("\n" + json.dumps(results))


if __name__ == "__main__":
    main()
