"""What is looked at of a kernel that says too much about its cell."""

import json

import pytest

from kernel_gateway.kernels.messages import DELIMITER, Signer
from kernel_gateway.kernels.outputs import Outputs
from kernel_gateway.kernels.run import MAX_PAGES, MAX_REPLIES, MAX_STATUSES, Run
from kernel_gateway.kernels.settings import KernelSettings

ID = "cell"
SIGNER = Signer(b"key")


@pytest.fixture
async def run():
    made = Run(ID, SIGNER, Outputs(1000, 1), KernelSettings(max_output_messages=10))
    yield made
    made.close()


def message(kind, content):
    signed = [json.dumps(part).encode() for part in ({"msg_type": kind}, {"msg_id": ID}, {}, content)]
    return [DELIMITER, SIGNER._sign(signed), *signed]


OTHER, REPLY = message("comm_info_reply", {}), message("execute_reply", {"status": "ok"})
BUSY_AND_IDLE = message("status", {"execution_state": "busy", "not": "idle"})
IDLE = message("status", {"execution_state": "idle"})


@pytest.mark.parametrize(("before", "taken"), [(MAX_REPLIES - 1, True), (MAX_REPLIES, False)])
async def test_so_many_shell_messages_are_looked_at_and_no_more(run, before, taken):
    for _ in range(before):
        run.on_shell(OTHER)
    run.on_shell(REPLY)
    assert (run._status == "ok") is taken


@pytest.mark.parametrize(("before", "taken"), [(MAX_STATUSES - 1, True), (MAX_STATUSES, False)])
async def test_beyond_the_caps_so_many_statuses_are_looked_at_and_no_more(run, before, taken):
    for _ in range(10 + before):
        run.on_iopub(BUSY_AND_IDLE, 0.0)
    run.on_iopub(IDLE, 0.0)
    assert run._idle is taken


async def test_a_reply_has_so_many_pages_and_no_more(run):
    page = {"source": "page", "data": {"text/plain": "help"}}
    run.on_shell(message("execute_reply", {"status": "ok", "payload": [page] * (MAX_PAGES + 1)}))
    assert len(run._outputs.shown) == MAX_PAGES
