"""A session as a notebook: its transcript and the text of its cells -> nbformat 4.5. Pure.

Its law: what an agent wrote stands in code cells and nowhere else; all prose is from words.py.
https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from notebooks import kernelspec, words
from notebooks.transcript import Event, Ran, cells

FORMAT = 1
"""Of what stands under `kernel_gateway` in the metadata."""
_CELL = ("cell", "at", "status", "ename", "duration_ms", "source_digest", "outputs", "author", "approver")
_CALL = ("operation", "status", "decision", "approver", "duration_ms", "replayed")


def notebook(session_id: str, events: Iterable[Event], sources: Mapping[str, str]) -> dict[str, Any]:
    """`sources` are redacted texts by cell id. Equal arguments give equal notebooks. Without outputs, never trusted."""
    ran = cells(events)
    made = [_markdown("about", words.about(session_id, len(ran)))]
    for before, each in zip([None, *ran], ran, strict=False):
        made += _around(each, before, sources)
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {**kernelspec.metadata(), "kernel_gateway": {"format": FORMAT, "session_id": session_id}},
        "cells": made,
    }


def _around(ran: Ran, before: Ran | None, sources: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The cell, after what has to be known before it and before how it ended."""
    event, number = ran.event, ran.number
    if before is None:
        said = words.forked(event) if number > 1 else ""
    elif before.event.get("session_id") != event.get("session_id"):
        said = words.went_on(event)
    else:
        said = words.went_back(event) if number != before.number + 1 else ""
    if said:
        yield _markdown(f"before-{number}-{ran.id[-8:]}", said)
    if ran.id in sources:
        yield _code(ran, sources[ran.id])
    else:
        yield _markdown(f"missing-{number}-{ran.id[-8:]}", words.not_kept(event))
    if said := words.ending(event):
        yield _markdown(f"after-{number}-{ran.id[-8:]}", said)


def _code(ran: Ran, source: str) -> dict[str, Any]:
    """`raises-exception` and `skip-execution` are what nbclient goes by."""
    tags = ["raises-exception"] * (ran.event["status"] != "ok") + ["skip-execution"] * ran.is_given_up
    provenance = {name: ran.event[name] for name in _CELL if ran.event.get(name)}
    provenance["parent"] = ran.event.get("parent_id", "")
    provenance["calls"] = [{name: call.get(name, "") for name in _CALL} for call in ran.calls]
    return {
        "cell_type": "code",
        "id": ran.id,
        "execution_count": None,
        "metadata": {"kernel_gateway": provenance, **({"tags": tags} if tags else {})},
        "outputs": [],
        "source": source,
    }


def _markdown(id_: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": id_, "metadata": {}, "source": text}
