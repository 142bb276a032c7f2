"""The two tools as they are published: names, descriptions for a model, schemas, hints. Data."""

from mcp.types import Tool, ToolAnnotations

from kernel_gateway.frontends.output_schema import EXECUTE_OUTPUT, SEARCH_OUTPUT
from kernel_gateway.frontends.schema import ExecuteArguments, SearchArguments, input_schema

INSTRUCTIONS = (
    "Find API operations with `search`, then call them from Python with `execute`, in a sandboxed kernel that keeps "
    "its variables between calls. The prompt `start_code_mode` explains the flow."
)
_SEARCH = (
    "Find API operations by what they do. Returns the ones you may use, best first, with their inputs; detail "
    '"signature" or "full" shows how to call them. Call them from a cell with `execute`.'
)
_EXECUTE = """\
Run one Python cell in a sandboxed IPython kernel without network; the API operations found by `search` are callable.

Leave `session_id` empty to start a session; pass the one that comes back to go on with its variables and files. \
A session is yours alone and ends after {idle} without a cell; an unknown or ended one is `not_found`.
`fork_from_cell` goes back: it opens a session that goes on after that cell.
The last expression is the result; displayed images come back as images. A cell that raises is no tool error: read \
`error`. An example cell:

    quota = image_ops.quota_get()   # one object per server, keyword arguments; help(image_ops.quota_get)
    job = call_tool("image_ops:jobs_get", {{"id": "..."}})   # the same by name; call_tools([...]) in parallel
    quota, job
"""


def published(session_idle_seconds: float) -> tuple[Tool, Tool]:
    """In a fixed order, which clients and their caches rely on."""
    search = Tool(
        name="search",
        title="Search API operations",
        description=_SEARCH,
        input_schema=input_schema(SearchArguments),
        output_schema=SEARCH_OUTPUT,
        annotations=ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )
    execute = Tool(
        name="execute",
        title="Run a Python cell",
        description=_EXECUTE.format(idle=_duration(session_idle_seconds)),
        input_schema=input_schema(ExecuteArguments),
        output_schema=EXECUTE_OUTPUT,
        annotations=ToolAnnotations(
            read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True
        ),
    )
    return search, execute


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
