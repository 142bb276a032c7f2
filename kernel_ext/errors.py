"""What cell code may catch."""

from kernel_ext.tracebacks import of_cells


class ToolError(Exception):
    """A call that did not succeed.

    `code` is stable and safe to branch on (not_found, invalid, denied, limited, busy, conflict, deadline, upstream,
    upstream_unavailable, upstream_invalid, outcome_unknown, too_large, internal; unavailable where there is no
    gateway at the other end, or no longer); `message` is one line; `retry_after` is in seconds, or None where waiting
    does not help.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message, retry_after)
        self.code, self.message, self.retry_after = code, message, retry_after

    def __str__(self) -> str:
        wait = f" (retry after {self.retry_after:g} s)" if self.retry_after is not None else ""
        return f"{self.code}: {self.message}{wait}"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows when a cell does not catch it."""
        from IPython import get_ipython

        return [*of_cells(self.__traceback__, get_ipython()), f"{type(self).__name__}: {self}"]
