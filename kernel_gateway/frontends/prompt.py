"""The one prompt: teaches a model the flow of search and execute, for a task where there is one. Pure text."""

from kernel_gateway.frontends.text import visible

NAME = "start_code_mode"
TITLE = "Work on a task in code mode"
DESCRIPTION = "How to get a task done with search and execute: find operations, write cells, keep the session."
MAX_TASK_CHARS = 4_000  # a task is a request, not a document; documents are for the cells

_FLOW = """\
Work with two tools: `search` finds API operations, `execute` runs Python cells that call them.

1. Search first: `search(query="create an image job")`. Ask for `detail="signature"` when you know which you need.
2. Run a cell: `execute(code="...")`. The answer holds a `session_id`; pass it to every later call.
   The session is a live IPython kernel: variables, imports and files of one cell are there in the next.
3. Each server is an object in the kernel, each operation a function with keyword arguments:
       quota = image_ops.quota_get()
       quota
   `help(image_ops.quota_get)` shows its parameters. The same by name: `call_tool("image_ops:quota_get", {})`.
   Several at once: `call_tools([(name, arguments), ...])` runs in parallel; each answer has success, result, error.
4. The kernel has no network; operations are the only way out. Files travel as handles: `blob.read()`,
   `blob.write(data)`.
5. A failed call raises `ToolError` with `code`, `message` and `retry_after`. Read the code before you try again.
6. Give a write that you may have to repeat its own `idempotency_key`; a repeat then returns the first answer.
7. Keep data in variables and print only what you need to see; the last expression is shown, images as images.
8. A call you may have to send again (long, or over a poor connection) gets a `request_id`; it never runs twice.
9. `state.lost` names what could not be brought back, and why: make it again. `fork_from_cell=n` with a `session_id`
   runs a cell in a new session that goes on after cell n, to try another way.
10. A photograph to try things on: `matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)` is its path.
11. What cannot be undone needs a yes. `approval_required`: ask the user, then send the same cell again with its
    `approval_token` and `session_id`. `paused`: send the same call again, it goes on. `validate_only` tells before.
12. Say at the end what you did and what each changing call came to.
"""
_TASK = "\nThe task, as the user wrote it:\n\n"


def start_code_mode(task: str = "") -> str:
    """A blank task is none: a client may send an optional argument that nobody filled in."""
    return _FLOW + (_TASK + visible(task.strip()) if task.strip() else "")
