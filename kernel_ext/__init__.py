"""The extension inside every kernel: `%load_ext kernel_ext`. Never imports the gateway.

It puts the client into the namespace; the servers follow when a session claims the kernel.
"""

from kernel_ext import footprint  # noqa: F401 -- first: it says where the names of all else lie

# isort: split
from typing import Any

from kernel_ext.blobs import Blob, Record
from kernel_ext.channel import attached
from kernel_ext.client import CallToolResult, Tool, acall_tool, call_tool, call_tools, search_tools
from kernel_ext.errors import ToolError
from kernel_ext.pictures import register
from kernel_ext.servers import Server, build

__all__ = [
    "Blob",
    "CallToolResult",
    "Record",
    "Tool",
    "ToolError",
    "acall_tool",
    "call_tool",
    "call_tools",
    "search_tools",
]

_shell: Any = None


def load_ipython_extension(shell: Any) -> None:
    """Raises ToolError outside a gateway's kernel, so that a kernel without its way out never serves."""
    global _shell
    attached()
    _shell = shell
    register(shell)
    shell.push({name: globals()[name] for name in __all__}, interactive=False)


def unload_ipython_extension(shell: Any) -> None:
    shell.drop_by_id({name: globals()[name] for name in __all__})


def install(manifest: dict[str, Any]) -> dict[str, Server]:
    """The servers of `manifest`, in the shell's namespace and importable from here."""
    servers = build(manifest)
    globals().update(servers)
    if _shell is not None:
        _shell.push(servers, interactive=False)
    return servers
