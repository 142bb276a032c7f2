"""Cells that ran, run again in a fresh sandbox."""

import asyncio
import copy
from dataclasses import replace

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions import saving

UPLOAD = """\
from PIL import Image
import io
raw = io.BytesIO()
Image.new("RGB", (64, 48), "navy").save(raw, "PNG")
upload = image_ops.uploads_init(filename="a.png", content_type="image/png", size_bytes=len(raw.getvalue()))
"""
WRITE = "upload.upload_url.write(raw.getvalue())\n"
JOB = """\
job = image_ops.jobs_create(upload_id=upload.upload_id, operations=[{"op": "strip_metadata"}])
print(job.status)
"""


def code(document):
    return [cell for cell in document["cells"] if cell["cell_type"] == "code"]


async def test_a_session_replays_the_same(house):
    house = await house()
    session_id = await house.run("x = 21", "print(x * 2)", "1/0", "x")
    reports = await house.replay(await house.export(session_id))
    assert [(each.status, each.same, each.known, each.edited) for each in reports] == [
        ("ok", True, True, False),
        ("ok", True, True, False),
        ("error", True, True, False),
        ("ok", True, True, False),
    ]
    assert {each.why for each in reports} == {""}


async def test_what_changes_by_itself_is_no_difference(house):
    house = await house()
    session_id = await house.run(
        "import time, uuid; print(time.time(), uuid.uuid4(), object()); time.strftime('%Y-%m-%d %H:%M:%S')"
    )
    (report,) = await house.replay(await house.export(session_id))
    assert report.same, report.why


async def test_another_output_is_the_first_difference(house):
    house = await house()
    session_id = await house.run("import random", "random.SystemRandom().random()", "print('a')")
    reports = await house.replay(await house.export(session_id))
    assert [each.same for each in reports] == [True, False, True]
    assert reports[1].why.startswith("its text/plain is another (")


async def test_another_end_is_told_with_both(house):
    house = await house()
    session_id = await house.run("import os", "os.environ.get('NEVER') or 1/0")
    document = await house.export(session_id)
    code(document)[0]["source"] = "import os; os.environ['NEVER'] = 'now'"
    reports = await house.replay(document)
    assert (reports[0].edited, reports[0].same) == (True, True)
    assert reports[1].why == "it ended as ok, and as error (ZeroDivisionError) when it ran"


async def test_export_replay_export_is_stable(house):
    house = await house()
    session_id = await house.run("x = 1", "print(x)", "1/0", "image_ops.quota_get().limit_bytes > 0")
    first, second = await house.export(session_id), {}
    assert all(report.same for report in await house.replay(first, live=True, again=second))

    def stable(document):
        cells = []
        for cell in code(document):
            said = dict(cell["metadata"]["kernel_gateway"])
            calls = [{**call, "duration_ms": 0} for call in said["calls"]]
            said = {**said, "at": 0, "duration_ms": 0, "parent": bool(said["parent"]), "calls": calls}
            cells.append({**cell, "id": "", "metadata": {**cell["metadata"], "kernel_gateway": said}})
        prose = [cell["source"] for cell in document["cells"] if cell["cell_type"] == "markdown"]
        return document["metadata"]["kernelspec"], prose[1:], cells

    assert stable(first) == stable(second)


async def test_a_secret_in_a_cell_is_run_as_it_was_and_not_as_it_was_exported(house):
    house = await house()
    session_id = await house.run("key = 'sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc'; len(key)")
    document = await house.export(session_id)
    assert "[redacted" in code(document)[0]["source"]
    (report,) = await house.replay(document)
    assert (report.same, report.edited) == (True, False)


async def test_recorded_answers_come_from_the_owners_session_and_nothing_is_sent(house):
    house = await house()
    session_id = await house.run(UPLOAD, "print(len(upload.upload_id) > 3)")
    document = await house.export(session_id)
    house.sent.clear()
    reports = await house.replay(document)
    assert [each.same for each in reports] == [True, True], reports
    assert reports[0].calls == (("image_ops:uploads_init", "ok"),)
    assert house.sent == []


async def test_any_call_of_a_cell_that_is_not_committed_yet_is_recorded(house, monkeypatch):
    monkeypatch.setattr(saving, "QUIET_SECONDS", 3600.0)
    house = await house()
    session_id = await house.run("print(image_ops.quota_get().org)")
    (report,) = await house.replay(await house.export(session_id))
    assert (report.same, report.calls) == (True, (("image_ops:quota_get", "ok"),)), report
    assert house.sent == ["quota_get"]


async def test_a_cell_that_needs_more_than_is_recorded_says_so(house):
    house = await house()
    session_id = await house.run("print(image_ops.quota_get().org)")
    while await house.app.replays.records.noted(session_id, 1):  # kept until its state is committed, and no longer
        await asyncio.sleep(0)
    (report,) = await house.replay(await house.export(session_id))
    assert (report.status, report.same, report.not_recorded) == ("error", False, ("image_ops:quota_get",))
    assert report.why == "it needs what `image_ops:quota_get` answered, which is not recorded; `--live` asks again"


async def test_live_nothing_is_done_twice_and_nobody_is_asked_again(house):
    house = await house()
    session_id = await house.run(UPLOAD + WRITE, JOB)
    document = await house.export(session_id)
    before = await house.quota()
    reports = await house.replay(document, live=True)
    assert [each.calls for each in reports] == [
        (("image_ops:uploads_init", "ok"),),
        (("image_ops:jobs_create", "ok"),),
    ], reports
    assert await house.quota() == before


@pytest.mark.parametrize("change", ["edited", "foreign", "another id"])
async def test_what_an_edited_or_foreign_notebook_changes_is_asked_about(house, change):
    house = await house()
    session_id = await house.run(UPLOAD)
    document = copy.deepcopy(await house.export(session_id))
    if change == "edited":
        code(document)[0]["source"] += "# another text\n"
    elif change == "foreign":
        document["metadata"]["kernel_gateway"]["session_id"] = "ses_never"
    else:
        code(document)[0]["id"] = "cell_never"
    asked = []

    async def deny(question):
        asked.extend(question["operations"])
        await house.app.gateway.decide_approval(person(house), question["waits_for"], approve=False)

    (report,) = await house.replay(document, live=True, asked=deny)
    assert asked == ["image_ops:uploads_init"]
    assert (report.status, report.calls) == ("error", (("image_ops:uploads_init", "approval_denied"),))


async def test_a_change_whose_record_has_run_out_is_asked_about(house, monkeypatch):
    house = await house()
    session_id = await house.run(UPLOAD)
    document, asked = await house.export(session_id), []
    monkeypatch.setattr(house.app.replays.records.effects, "_retention_seconds", 0.0)

    async def deny(question):
        asked.extend(question["operations"])
        await house.app.gateway.decide_approval(person(house), question["waits_for"], approve=False)

    await house.replay(document, live=True, asked=deny)
    assert asked == ["image_ops:uploads_init"]


def person(house):
    return replace(house.me, client="command-line", subject="somebody", scopes=frozenset({"kernel.approve"}))


async def test_where_only_digests_are_kept_nothing_is_replayed(house):
    house = await house(sessions={"source": "digest-only"})
    with pytest.raises(GatewayError) as caught:
        await house.replay({"metadata": {}, "cells": []})
    assert caught.value.code == "not_available"


async def test_a_replay_ends_with_its_session_and_is_in_the_journal(house):
    house = await house()
    session_id = await house.run("1")
    document = await house.export(session_id)
    await house.replay(document)
    assert [session.id for session in house.app.gateway.live()] == [session_id]
    events = await house.app.gateway.transcript(house.me, session_id)
    assert [event["reason"] for event in events if event["kind"] == "source_shown"] == ["exported", "replayed"]
