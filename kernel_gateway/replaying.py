"""The command that runs a notebook again: sends it to the gateway that runs, and says of each cell what came of it."""

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.admin import REPLAYS
from kernel_gateway.operating import stream
from kernel_gateway.settings import Settings
from notebooks.difference import difference
from notebooks.document import plan, read

USAGE, DIFFERS = 2, 1


async def sessions_replay(settings: Settings, options: argparse.Namespace) -> int:
    """0 where every cell did the same, 1 where one did not, 2 for a file that is no notebook."""
    try:
        notebook = read(options.file)
        body = plan(notebook).model_dump() | {"live": options.live}
    except GatewayError as error:
        print(f"kernel-gateway: {error}", file=sys.stderr)
        return USAGE
    reports: list[Mapping[str, Any]] = []
    async with aclosing(stream(settings, REPLAYS, body)) as lines:
        async for said in lines:
            if "code" in said:
                raise GatewayError(said["code"], said["message"])
            if options.json and "cells" not in said:
                print(json.dumps(said), flush=True)
            if "waits_for" in said:
                print(_question(said), file=sys.stderr, flush=True)
            elif "cell" in said:
                reports.append(said)
                if not options.json:
                    print(cell_line(said), flush=True)
            elif "cells" in said and not options.json:
                print(difference(notebook, said["cells"]), end="")
    differs = next((each for each in reports if not each["same"]), None)
    if not options.json:
        print(_verdict(len(reports), differs))
    return 0 if differs is None else DIFFERS


def cell_line(report: Mapping[str, Any]) -> str:
    """One line a cell."""
    mark = "same   " if report["same"] else "DIFFERS"
    notes = [note for note in ("edited" * report["edited"], "unknown here" * (not report["known"])) if note]
    said = f"{mark} cell {report['cell']:<3} {report['status']}{f' ({chr(44).join(notes)})' if notes else ''}"
    return f"{said}   {report['why']}" if report["why"] else said


def _question(said: Mapping[str, Any]) -> str:
    names = ", ".join(said["operations"])
    return f"waits for a yes to {names}: kernel-gateway approvals approve {said['waits_for']}"


def _verdict(count: int, differs: Mapping[str, Any] | None) -> str:
    if differs is None:
        return f"all {count} cells did the same"
    return f"the first difference is in cell {differs['cell']}: {differs['why']}"
