"""A live kernel in its sandbox: runs cells, ends them in time, and dies honestly."""

import asyncio
import os

import pytest

from kernel_ext.wire import Kind, Message
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel, describe_exit
from kernel_gateway.kernels.settings import KernelSettings
from tests.conftest import EMPTY_MANIFEST, refuse, until


def never():
    return asyncio.get_running_loop().create_future()


async def run(kernel, code, deadline=20.0, stop=None):
    return await kernel.run(code, deadline, stop or never())


async def test_variables_live_from_cell_to_cell_and_the_last_value_is_shown(claim_kernel):
    kernel = await claim_kernel()
    assert (await run(kernel, "x = 20")).status == "ok"
    outcome = await run(kernel, "print('hi'); x + 22")
    assert (outcome.outputs.stdout, outcome.outputs.result) == ("hi\n", "42")


async def test_a_failing_cell_is_data_and_the_kernel_goes_on(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(kernel, "1/0")
    name, value, traceback = outcome.outputs.error
    assert (outcome.status, name, value) == ("error", "ZeroDivisionError", "division by zero")
    assert "\x1b" not in traceback
    assert (await run(kernel, "'still here'")).outputs.result == "'still here'"


async def test_top_level_await_and_threads_work(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(
        kernel,
        "import asyncio, threading\n"
        "thread = threading.Thread(target=print, args=('from a thread',))\n"
        "thread.start(); thread.join()\n"
        "await asyncio.sleep(0.01)\n"
        "'awaited'",
    )
    assert outcome.outputs.result == "'awaited'"
    assert "from a thread" in outcome.outputs.stdout


async def test_the_data_libraries_can_be_imported_and_a_figure_is_shown_as_png(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(
        kernel,
        "import numpy, pandas, PIL.Image\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()",
    )
    assert outcome.status == "ok", outcome.outputs.error
    (image,) = outcome.outputs.images
    assert image[0] == "image/png"
    assert image[1].startswith(b"\x89PNG")


async def test_help_with_a_question_mark_is_shown(claim_kernel):
    kernel = await claim_kernel()
    assert "Calls one operation by its id" in (await run(kernel, "call_tool?")).outputs.result


async def test_at_its_deadline_a_cell_is_interrupted_and_its_variables_stay(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(kernel, "kept = 1\nimport time\ntime.sleep(60)", deadline=0.5)
    assert (outcome.status, outcome.cause) == ("timeout", "")
    assert (await run(kernel, "kept")).outputs.result == "1"


async def test_a_tight_loop_is_interrupted_on_request(claim_kernel):
    stop = never()

    async def handler(message):
        stop.set_result(None)
        return Message(Kind.RESULT, message.id, {"value": "it runs"})

    kernel = await claim_kernel(handler=handler)
    running = asyncio.create_task(run(kernel, "call_tool('a:b')\nwhile True: pass", stop=stop))
    assert (await running).status == "interrupted"
    assert (await run(kernel, "1")).status == "ok"


async def test_a_cell_that_ignores_the_interrupt_loses_its_kernel(claim_kernel):
    kernel = await claim_kernel(interrupt_grace_seconds=0.5)
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    outcome = await run(kernel, code, deadline=0.5)
    assert (outcome.status, outcome.cause) == ("timeout", "it ignored the interrupt")
    assert kernel.died.done()


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import os; os._exit(7)", "status 7"),
        ("import os; os.abort()", "SIG"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ],
)
async def test_a_kernel_that_dies_says_why(claim_kernel, code, cause):
    kernel = await claim_kernel()
    outcome = await run(kernel, code)
    assert outcome.status == "lost"
    assert cause in outcome.cause


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (0, "status 0"),
        (1, "status 1"),
        (139, "SIGSEGV"),
        (-9, "out of memory"),
        (137, "out of memory"),
        (128 + 99, "signal 99"),
    ],
)
def test_exit_codes_are_put_into_words(code, why):
    assert why in describe_exit(code)


async def test_a_kernel_that_closes_its_way_out_is_finished(claim_kernel):
    kernel = await claim_kernel()
    await run(kernel, "import os\nfor fd in range(3, 64):\n  try:\n    os.fstat(fd)\n  except OSError: pass")
    outcome = await run(
        kernel,
        "from kernel_ext.channel import attached\nimport socket\n"
        "attached()._sock.shutdown(socket.SHUT_RDWR)\nimport time; time.sleep(30)",
    )
    assert outcome.status == "lost"


async def test_a_kernel_that_breaks_the_protocol_is_killed_and_the_cause_says_so(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(
        kernel,
        "from kernel_ext.channel import attached\nattached()._sock.setblocking(True)\n"
        "attached()._sock.sendall(b'X' * 64)\nimport time; time.sleep(30)",
    )
    assert outcome.status == "lost"
    assert "broke the protocol" in outcome.cause


async def test_requests_reach_the_handler_and_answers_come_back(claim_kernel):
    async def handler(message):
        return Message(Kind.RESULT, message.id, {"value": {"echo": message.head["operation"]}}, b"")

    kernel = await claim_kernel(handler=handler)
    outcome = await run(kernel, "call_tool('a:b', {'x': 1}).echo")
    assert outcome.outputs.result == "'a:b'"


async def test_a_crash_of_the_handler_is_internal_and_shows_nothing_of_the_host(claim_kernel, caplog):
    async def handler(message):
        raise RuntimeError("a secret of the host")

    kernel = await claim_kernel(handler=handler)
    code = "try:\n  call_tool('a:b')\nexcept ToolError as error:\n  print(error.code, error.message)"
    outcome = await run(kernel, code)
    assert outcome.outputs.stdout == "internal the gateway failed\n"


async def test_an_unclaimed_kernel_has_no_identity_and_is_stopped_without_a_trace(start_kernel):
    kernel = await start_kernel()
    assert "ready" in repr(kernel)
    folder = kernel._sockets.folder
    assert folder.exists()
    await kernel.stop()
    assert not folder.exists()
    assert kernel.died.result() == "it was stopped"


async def test_the_count_begins_where_the_session_says(claim_kernel):
    kernel = await claim_kernel(execution_count=5)
    outcome = await run(kernel, "1/0")
    assert "Cell In[5]" in outcome.outputs.error[2]


async def test_without_its_extension_no_kernel_serves(launcher, start_kernel):
    class Broken:
        async def launch(self, fds):
            return await launcher.launch(fds | {"channel": 0})

    with pytest.raises(GatewayError) as caught:
        await Kernel.start(Broken(), KernelSettings(start_seconds=20))
    assert caught.value.code == "sandbox"
    assert "Traceback" not in caught.value.message


async def test_nothing_that_a_cell_prints_is_lost_to_the_timer_that_sends_it(claim_kernel):
    kernel = await claim_kernel()
    await run(kernel, "import sys; sys.stdout.flush_interval = 0.0001")  # as often as cells end, rather than in 0.2 s
    expected = "".join(f"{number}\n" for number in range(50))
    for _ in range(100):
        outcome = await run(kernel, "for number in range(50): print(number)")
        assert outcome.outputs.stdout == expected


async def test_loading_the_extension_in_an_ordinary_ipython_fails_clearly(claim_kernel):
    kernel = await claim_kernel()
    outcome = await run(
        kernel,
        "import kernel_ext.channel as channel\nkept, channel._attached = channel._attached, None\n"
        "try:\n  get_ipython().extension_manager.reload_extension('kernel_ext')\n"
        "except Exception as error:\n  print(error)\nfinally:\n  channel._attached = kept",
    )
    assert "not started by a kernel gateway" in outcome.outputs.stdout, outcome.outputs.error


async def test_a_stop_that_comes_before_the_cell_begins_still_ends_it_and_keeps_the_kernel(claim_kernel):
    kernel = await claim_kernel()
    await run(kernel, "kept = 1")
    for _ in range(5):
        stop = never()
        running = asyncio.create_task(run(kernel, "import time; time.sleep(60)", stop=stop))
        await asyncio.sleep(0)
        stop.set_result(None)
        outcome = await running
        assert (outcome.status, outcome.cause) == ("interrupted", "")
    assert (await run(kernel, "kept")).outputs.result == "1"


async def test_a_cell_that_is_stopped_already_never_runs(claim_kernel):
    kernel = await claim_kernel()
    stop = never()
    stop.set_result(None)
    assert (await run(kernel, "ran = True", stop=stop)).status == "interrupted"
    assert (await run(kernel, "'ran' in dir()")).outputs.result == "False"


async def test_a_kernel_that_ends_before_it_is_claimed_is_an_error_and_not_a_cancelled_request(start_kernel):
    kernel = await start_kernel()
    kernel._process.send_signal(9)
    await kernel.died
    with pytest.raises(GatewayError) as caught:
        await kernel.claim({"version": 1, "servers": {}}, None, 1)
    assert caught.value.code == "sandbox"


@pytest.mark.parametrize("how", ["unclaimed", "idle", "busy", "dead"])
async def test_of_a_stopped_kernel_nothing_is_left_open(start_kernel, how):
    await (await start_kernel()).stop()  # the template that both come from stays
    tasks, fds = asyncio.all_tasks(), open_fds()
    kernel = await start_kernel()
    folder, cell = kernel._sockets.folder, None
    if how != "unclaimed":
        await kernel.claim(EMPTY_MANIFEST, refuse, 1)
        assert (await run(kernel, "1")).status == "ok"
    if how == "busy":
        cell = asyncio.create_task(run(kernel, "while True: pass"))
    if how == "dead":
        await run(kernel, "import os; os._exit(1)")
    await kernel.stop()
    if cell is not None:
        assert (await cell).status == "lost"
    await until(lambda: asyncio.all_tasks() == tasks)
    await until(lambda: open_fds() == fds)
    assert kernel.gone.done()
    assert not folder.exists()


def open_fds():
    """Each with what it leads to; without the one that lists them."""
    links = {fd: f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")}
    return {(fd, os.readlink(path)) for fd, path in links.items() if os.path.lexists(path)}
