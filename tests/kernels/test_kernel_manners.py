"""What the kernel does for whoever writes and reads cells: exits, short tracebacks, interrupts, a namespace reset."""

import asyncio
from dataclasses import replace

import pytest

from kernel_ext.wire import Kind, Message
from kernel_gateway.sessions.result import ExecuteRequest

IMAGE_OPS = {"version": 1, "servers": {"image_ops": {"title": "Image Ops", "operations": []}}}
NOTHING_TO_EXIT = "a session ends by itself when it is idle; there is nothing to exit"


async def run(kernel, code, stop=None):
    return await kernel.run(code, 30.0, stop or asyncio.get_running_loop().create_future())


async def denied(message):
    name = message.head.get("operation")
    return Message(Kind.ERROR, message.id, {"code": "denied", "message": f"`{name}` needs the scope `image.use`"})


@pytest.mark.parametrize("code", ["exit()", "quit()", "exit(0)", "quit(keep_kernel=False)", "get_ipython().ask_exit()"])
async def test_a_cell_that_exits_is_told_that_there_is_nothing_to_exit(claim_kernel, code):
    kernel = await claim_kernel()
    outcome = await run(kernel, f"kept = 1\n{code}")
    assert outcome.status == "error"
    assert outcome.outputs.error[:2] == ("RuntimeError", NOTHING_TO_EXIT)
    assert (await run(kernel, "kept")).outputs.result == "1"


@pytest.mark.parametrize("code", ["exit", "quit", "%reset -f\nexit"])
async def test_exit_alone_says_the_same(claim_kernel, code):
    assert (await run(await claim_kernel(), code)).outputs.result == NOTHING_TO_EXIT


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise SystemExit", "get_ipython().exit_now = True"])
async def test_no_other_exit_of_python_or_ipython_ends_the_kernel(claim_kernel, code):
    kernel = await claim_kernel()
    outcome = await run(kernel, f"kept = 1\n{code}")
    assert "To exit" not in outcome.outputs.stderr
    assert (await run(kernel, "kept")).outputs.result == "1"
    assert not kernel.died.done()


async def test_a_failed_call_shows_the_cell_and_nothing_of_what_carries_it(claim_kernel):
    kernel = await claim_kernel(handler=denied, manifest=IMAGE_OPS)
    outcome = await run(kernel, "def ask(n):\n    return image_ops.anything(n=n)\n\nask(3)")
    name, value, traceback = outcome.outputs.error
    assert (name, value) == ("ToolError", "denied: `image_ops:anything` needs the scope `image.use`")
    assert traceback.splitlines() == [
        "Cell In[1], line 4",
        "      2     return image_ops.anything(n=n)",
        "      3",
        "----> 4 ask(3)",
        "Cell In[1], line 2, in ask",
        "      1 def ask(n):",
        "----> 2     return image_ops.anything(n=n)",
        "      3",
        f"ToolError: {value}",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "call_tool('a:b')",
        "await acall_tool('a:b')",
        "call_tools(['a:b'])",
        "search_tools('x')",
        "raise call_tools([('a:b', {})])[0].error",
        "Blob('id', 'read').read()",
        "import functools\nlist(map(functools.partial(call_tool, 'a:b'), [{}]))",
    ],
)
async def test_so_it_is_however_the_call_is_made(claim_kernel, code):
    outcome = await run(await claim_kernel(handler=denied), code)
    traceback = outcome.outputs.error[2]
    assert "Cell In[1], line" in traceback
    assert "kernel_ext" not in traceback
    assert "Traceback" not in traceback
    assert len(traceback) < 350


async def test_of_a_deep_recursion_the_ends_are_shown(claim_kernel):
    code = "def down(n):\n    return down(n - 1) if n else call_tool('a:b')\ndown(100)"
    traceback = (await run(await claim_kernel(handler=denied), code)).outputs.error[2]
    assert traceback.startswith("Cell In[1], line 3\n")
    assert "[... 96 frames left out ...]" in traceback
    assert len(traceback) < 1000


@pytest.mark.parametrize(
    "slow", ["call_tool('a:slow')", "await acall_tool('a:slow')", "call_tools([('a:slow', {})] * 3)"]
)
async def test_after_an_interrupted_call_the_next_ones_get_their_own_answers(claim_kernel, slow):
    arrived, release, late = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(message):
        if message.head["operation"] == "a:slow":
            arrived.set()
            await release.wait()
            late.set()
            return Message(Kind.ERROR, message.id, {"code": "upstream", "message": "too late for anybody"})
        return Message(Kind.RESULT, message.id, {"value": message.head["operation"]})

    kernel = await claim_kernel(handler=handler)
    outcome = await run(kernel, slow, stop=asyncio.ensure_future(arrived.wait()))
    assert (outcome.status, outcome.cause) == ("interrupted", "")
    assert (await run(kernel, "call_tool('a:first')")).outputs.result == "'a:first'"
    release.set()
    await late.wait()
    outcome = await run(kernel, "import gc; gc.collect()\n[each.result for each in call_tools([('a:1', {})] * 2)]")
    assert outcome.outputs.result == "['a:1', 'a:1']"
    assert outcome.outputs.stderr == ""


async def test_an_interrupt_that_comes_just_before_the_cells_code_still_ends_it_with_a_reply(claim_kernel):
    kernel = await claim_kernel()
    await run(
        kernel,
        "kernel = get_ipython().kernel\nrun_cell = kernel.do_execute\n"
        "async def interrupted(*_, **__):\n    kernel.do_execute = run_cell\n    raise KeyboardInterrupt\n"
        "kernel.do_execute = interrupted",
    )
    assert (await run(kernel, "never = 1")).status == "error"
    outcome = await run(kernel, "never")
    assert outcome.outputs.error[:2] == ("NameError", "name 'never' is not defined")
    assert "Cell In[3], line 1" in outcome.outputs.error[2], "the interrupted one counts"


async def test_a_cell_that_sleeps_in_await_is_interrupted_and_keeps_its_kernel(claim_kernel):
    kernel = await claim_kernel()
    outcome = await kernel.run("kept = 1\nimport asyncio\nawait asyncio.sleep(60)", 0.5, asyncio.Future())
    assert (outcome.status, outcome.cause) == ("timeout", "")
    assert (await run(kernel, "kept")).outputs.result == "1"


async def test_after_a_reset_the_client_can_be_imported_again(claim_kernel):
    kernel = await claim_kernel(handler=denied, manifest=IMAGE_OPS)
    await run(kernel, "%reset -f")
    assert (await run(kernel, "image_ops")).outputs.error[0] == "NameError"
    outcome = await run(
        kernel,
        "from kernel_ext import image_ops, call_tools, ToolError\n"
        "try:\n    image_ops.anything()\nexcept ToolError as error:\n    print(error.code)\n"
        "call_tools([('a:b', {})])[0].error.code, image_ops",
    )
    assert outcome.outputs.stdout == "denied\n"
    assert outcome.outputs.result == "('denied', <Image Ops: nothing that you may use>)"


async def test_help_on_a_server_calls_nothing(claim_kernel):
    called = []

    async def handler(message):
        called.append(message.head)
        return await denied(message)

    kernel = await claim_kernel(handler=handler, manifest=IMAGE_OPS)
    await run(kernel, "display(image_ops); dir(image_ops)")
    await run(kernel, "help(image_ops)")
    assert "Image Ops" in (await run(kernel, "image_ops?")).outputs.result
    assert "a call says why" in (await run(kernel, "image_ops.anything?")).outputs.result
    assert called == []


@pytest.mark.parametrize(
    ("scopes", "call", "says"),
    [
        ({"kernel.execute"}, "image_ops.jobs_get(id='job_1')", "denied: the scope `image.jobs.read` is missing"),
        ({"kernel.execute", "image.jobs.read"}, "image_ops.job_get(id='job_1')", "not_found: `image_ops:job_get`"),
    ],
)
async def test_an_operation_that_the_caller_may_not_use_or_that_is_not_there_says_so(
    world_and_app, gateway_settings, scopes, call, says
):
    _, app = await world_and_app(gateway_settings())
    caller = replace(app.stdio_principal(), scopes=frozenset(scopes))
    result = await app.gateway.execute(caller, ExecuteRequest(call))
    assert result.error.ename == "ToolError"
    assert result.error.evalue.startswith(says)
