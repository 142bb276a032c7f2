"""A switch on a state folder of the test's own."""

import pytest

from kernel_gateway.limits.switch import Switch
from kernel_gateway.limits.switch_file import SwitchFile

WATCH_SECONDS = 0.01


@pytest.fixture
async def switch_on(tmp_path):
    """`switch_on(folder)` -> a Switch that watches its file; without a folder they all share one."""
    made = []

    def make(folder=None):
        switch = Switch(SwitchFile(folder or tmp_path / "state"), WATCH_SECONDS, lambda: 1000.0)
        switch.start()
        made.append(switch)
        return switch

    yield make
    for switch in made:
        await switch.close()
