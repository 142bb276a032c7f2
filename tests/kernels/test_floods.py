"""Cells that send too much: the gateway keeps little, the cell still ends, the next one works."""

import asyncio


async def run(kernel, code, deadline=40.0):
    return await kernel.run(code, deadline, asyncio.get_running_loop().create_future())


async def test_a_long_print_keeps_head_and_tail(claim_kernel):
    kernel = await claim_kernel(max_text_bytes=1024)
    outcome = await run(kernel, "print('first'); print('x' * 100_000); print('last')")
    assert outcome.status == "ok"
    assert outcome.outputs.is_truncated
    assert outcome.outputs.stdout.startswith("first")
    assert outcome.outputs.stdout.endswith("last\n")
    assert len(outcome.outputs.stdout) < 1200


async def test_a_flood_of_messages_is_dropped_and_the_cell_still_ends_ok(claim_kernel):
    kernel = await claim_kernel(max_output_messages=20)
    outcome = await run(kernel, "for n in range(500): display(n)\n'done'")
    assert outcome.status == "ok"
    assert outcome.outputs.is_truncated
    assert len(outcome.outputs.shown) <= 20
    assert (await run(kernel, "'next'")).outputs.result == "'next'"


async def test_bytes_beyond_the_cap_are_dropped_unparsed(claim_kernel):
    kernel = await claim_kernel(max_output_bytes=1024 * 1024)
    outcome = await run(kernel, "for n in range(8): display({'text/plain': 'x' * 400_000}, raw=True)")
    assert outcome.status == "ok"
    assert outcome.outputs.dropped_messages == 6


async def test_a_message_longer_than_allowed_costs_the_kernel(claim_kernel):
    kernel = await claim_kernel(max_message_bytes=1024 * 1024)
    past_the_bounds = (
        "from jupyter_client.session import Session\nkernel = get_ipython().kernel\n"
        "content = {'data': {'text/plain': 'x' * 3_000_000}}\n"
        "Session.send(kernel.session, kernel.iopub_socket, 'display_data', content, parent=kernel.get_parent())\n"
    )
    outcome = await run(kernel, past_the_bounds + "import time; time.sleep(30)")
    assert outcome.status == "lost"
    assert "longer than 1048576 bytes" in outcome.cause


async def test_deeply_nested_json_is_dropped(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(
        kernel,
        "import json\nfrom IPython import get_ipython\nsession = get_ipython().kernel.session\n"
        "pack = session.pack\n"
        "session.pack = lambda o: b'[' * 60000 + b']' * 60000 if isinstance(o, dict) and 'nested' in o else pack(o)\n"
        "kernel = get_ipython().kernel\n"
        "session.send(kernel.iopub_socket, 'display_data', {'nested': 1}, parent=kernel.get_parent())\n"
        "session.pack = pack\n'alive'",
    )
    assert outcome.status == "ok", outcome.outputs.error
    assert outcome.outputs.result == "'alive'"


async def test_a_forged_idle_costs_the_cell_its_later_output_and_nothing_worse(claim_kernel):
    kernel = await claim_kernel()
    forge = (
        "kernel = get_ipython().kernel\nparent = kernel.get_parent()\n"
        "kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'idle'}, parent=parent)\n"
    )
    outcome = await run(kernel, forge + "import time; time.sleep(0.2)\n'done'")
    assert outcome.status == "ok"
    assert (await run(kernel, "1 + 1")).outputs.result == "2"
