"""Cell code knows its kernel's key and holds its sockets: what forged messages buy it is the end of its own turn."""

import asyncio

from kernel_gateway.sessions.result import ExecuteRequest
from tests.conftest import until

END_THE_TURN = """
kernel = get_ipython().kernel
parent, ident = kernel.get_parent(), kernel._parent_ident['shell']
shell = kernel.shell_stream.socket
kernel.session.send(shell, 'execute_reply', {'status': 'ok'}, parent, ident=ident)
kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'idle'}, parent)
"""
CALL_UNTIL_DENIED = """
while True:
    try:
        image_ops.quota_get()
    except ToolError as error:
        said = error.message
        if said.startswith('no cell'):
            break
print('never seen')
"""
NEVER_END = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"


async def run(kernel, code, deadline=40.0):
    return await kernel.run(code, deadline, asyncio.get_running_loop().create_future())


async def test_a_cell_that_forges_its_end_and_runs_on_can_call_nothing_and_shows_nothing(
    gateway_settings, world_and_app
):
    _, app = await world_and_app(gateway_settings())
    me = app.stdio_principal()
    first = await app.gateway.execute(me, ExecuteRequest(END_THE_TURN + CALL_UNTIL_DENIED))
    assert (first.status, first.stdout) == ("ok", "")
    await until(lambda: app.gateway._places._open[first.session_id].account.strays)
    second = await app.gateway.execute(me, ExecuteRequest("print(said)", first.session_id))
    assert second.stdout == "no cell is running; make the call from a cell and wait for its result there\n"


async def test_a_cell_that_forges_its_end_and_never_ends_costs_the_next_one_its_kernel(claim_kernel):
    kernel = await claim_kernel(interrupt_grace_seconds=0.5)
    assert (await run(kernel, END_THE_TURN + NEVER_END)).status == "ok"
    outcome = await run(kernel, "'never runs'", deadline=0.5)
    assert (outcome.status, outcome.cause) == ("timeout", "it ignored the interrupt")
    assert kernel.died.done()


async def test_forged_answers_of_every_kind_and_shape_leave_a_kernel_that_serves(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(
        kernel,
        "kernel = get_ipython().kernel\nparent, session = kernel.get_parent(), kernel.session\n"
        "def forge(kind, content, **more): session.send(kernel.iopub_socket, kind, content, parent, **more)\n"
        "for content in ({}, {'execution_state': ['idle']}, {'execution_state': None}): forge('status', content)\n"
        "forge('execute_input', {}); forge('execute_input', {}); forge('iopub_welcome', {})\n"
        "forge('stream', {'text': 7}); forge('display_data', {'data': []}); forge('error', {'traceback': 'x'})\n"
        "forge('input_request', {'prompt': 'password'}); forge('comm_open', {'data': 1}, buffers=[b'x'] * 100)\n"
        "forge('shutdown_reply', {'restart': False}); forge('execute_reply', {'status': 'error'})\n'alive'",
    )
    assert (outcome.status, outcome.outputs.result) == ("ok", "'alive'")


WRITE_TO_THE_GATEWAY = """
import os, socket, stat
def write_to_the_gateway(port, data):
    for fd in range(256):
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            sock = socket.socket(fileno=os.dup(fd))
            sock.getpeername()
            name = sock.getsockname()
        except OSError:
            continue
        if str(name).endswith(f'k-{port}'):
            sock.setblocking(True)
            while True:
                sock.sendall(data)
"""


async def ends_the_kernel(kernel, port, data):
    outcome = await run(kernel, f"{WRITE_TO_THE_GATEWAY}\nwrite_to_the_gateway({port}, {data})")
    assert outcome.status == "lost"
    return outcome.cause


async def test_a_message_of_endlessly_many_parts_costs_the_kernel(claim_kernel):
    cause = await ends_the_kernel(await claim_kernel(), 2, "(b'\\x01\\xff' + bytes(255)) * 500")
    assert cause == "it broke the protocol of its iopub connection: a message has more than 256 parts"


async def test_so_does_one_of_endlessly_many_bytes_on_any_connection(claim_kernel):
    cause = await ends_the_kernel(await claim_kernel(), 5, "b'\\x03' + (1 << 20).to_bytes(8, 'big') + bytes(1 << 20)")
    assert cause == "it broke the protocol of its control connection: a message is longer than 8388608 bytes"


async def test_and_bytes_that_are_no_frames_between_two_cells(claim_kernel):
    kernel = await claim_kernel()
    later = "import threading\nthreading.Timer(0.2, lambda: write_to_the_gateway(1, b'\\xff' * 64)).start()"
    assert (await run(kernel, WRITE_TO_THE_GATEWAY + later)).status == "ok"
    assert await kernel.died == "it broke the protocol of its shell connection: unknown flags 0xff"
    await until(kernel._watcher.done)
