"""A notebook file as what is to be run of it. Whatever else the file says of itself is left where it is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import nbformat
from nbformat.reader import NotJSONError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kernel_gateway.errors import GatewayError

MAX_CELLS = 2_000
"""Of one replay; a session of an agent has some dozens."""
MAX_CODE_CHARACTERS = 64 * 1024  # as of a cell that an agent sends
_ID = r"^[A-Za-z0-9_-]{0,64}$"
MAY_FAIL, SKIPPED = "raises-exception", "skip-execution"


class Planned(BaseModel):
    """One code cell. `may_fail` is only heard where nothing is known of the cell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=_ID)]
    source: Annotated[str, StringConstraints(max_length=MAX_CODE_CHARACTERS)]
    may_fail: bool = False


class Plan(BaseModel):
    """`session_id` is a claim: it says where to look, and what is found there is believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    session_id: Annotated[str, StringConstraints(pattern=_ID)] = ""
    cells: list[Planned] = Field(max_length=MAX_CELLS)


def read(path: Path) -> Any:
    """Raises GatewayError invalid."""
    try:
        found = nbformat.read(path, as_version=4)
        nbformat.validate(found)
        return found
    except FileNotFoundError:
        raise GatewayError("invalid", f"there is no file `{path}`") from None
    except (OSError, ValueError, NotJSONError, nbformat.ValidationError, AttributeError, KeyError, TypeError) as error:
        kind = type(error).__name__
        raise GatewayError("invalid", f"`{path}` is no notebook that can be read ({kind})") from None


def plan(notebook: Mapping[str, Any]) -> Plan:
    """Its code cells in their order, but those that are marked to be skipped or hold nothing. Raises GatewayError."""
    claimed = notebook["metadata"].get("kernel_gateway")
    session_id = claimed.get("session_id", "") if isinstance(claimed, Mapping) else ""
    cells = []
    for cell in code_cells(notebook):
        tags = cell["metadata"].get("tags", [])
        if SKIPPED not in tags:
            cells.append({"id": cell.get("id", ""), "source": cell["source"], "may_fail": MAY_FAIL in tags})
    try:
        is_id = isinstance(session_id, str) and re.match(_ID, session_id)
        return Plan.model_validate({"session_id": session_id if is_id else "", "cells": cells})
    except ValueError:
        most = f"{MAX_CELLS} cells of {MAX_CODE_CHARACTERS} characters"
        raise GatewayError("invalid", f"this notebook is more than can be run again: at most {most}") from None


def code_cells(notebook: Mapping[str, Any]) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and cell["source"].strip()]
