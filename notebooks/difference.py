"""A notebook and what was run of it, side by side for a reader: edited texts, and outputs where the file has any."""

import copy
import io
from collections.abc import Mapping, Sequence
from typing import Any

from kernel_gateway.errors import GatewayError
from notebooks.document import SKIPPED, code_cells


def difference(notebook: Mapping[str, Any], ran: Sequence[Mapping[str, Any]]) -> str:
    """As nbdime shows it; "" where nothing differs. `ran` is what the last line of a replay tells of each cell.

    Raises GatewayError not_available where nbdime is not installed.
    """
    try:
        from nbdime.diffing.notebooks import diff_notebooks, set_notebook_diff_targets
        from nbdime.prettyprint import PrettyPrintConfig, pretty_print_notebook_diff
    except ModuleNotFoundError:
        message = "to show what differs takes nbdime; install `agent-kernel-gateway[diff]`"
        raise GatewayError("not_available", message) from None
    before, after = _plain(notebook), _plain(notebook)
    run = [cell for cell in code_cells(after) if SKIPPED not in cell["metadata"].get("tags", [])]
    for cell, said in zip(run, ran, strict=True):
        cell["source"] = said["source"]
        if cell["outputs"]:
            cell["outputs"] = said["outputs"]
    if before == after:
        return ""
    set_notebook_diff_targets(metadata=False, details=False)
    shown = io.StringIO()
    found = diff_notebooks(before, after)
    config = PrettyPrintConfig(out=shown, use_git=False, use_diff=False, use_color=False)
    pretty_print_notebook_diff("the file", "as it ran", before, found, config)
    return shown.getvalue()


def _plain(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Without pictures, which no record and no replay tells of."""
    copied: dict[str, Any] = copy.deepcopy(dict(notebook))
    for cell in code_cells(copied):
        for output in cell["outputs"]:
            data = output.get("data", {})
            for mime in [mime for mime in data if mime.startswith("image/")]:
                del data[mime]
    return copied
