"""A session that real cells ran in, as a notebook: over HTTP's gateway, and over the admin socket."""

import json

import nbformat
import pytest

from kernel_gateway import __main__
from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.result import ExecuteRequest
from notebooks.export import notebook

KEY = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"


@pytest.fixture
def make(gateway_settings, world_and_app):
    async def app(**sections):
        return (await world_and_app(gateway_settings(**sections)))[1]

    return app


async def run(app, *codes):
    me, session_id = app.stdio_principal(), ""
    for code in codes:
        session_id = (await app.gateway.execute(me, ExecuteRequest(code, session_id))).session_id
    return session_id


async def exported(app, session_id):
    me = app.stdio_principal()
    sources = await app.gateway.source(me, session_id)
    return notebook(session_id, await app.gateway.transcript(me, session_id), sources)


async def test_a_session_is_a_valid_notebook_with_its_cells_and_what_became_of_them(make):
    app = await make()
    codes = ["image_ops.quota_get().limit_bytes", "1/0", "print('done')"]
    session_id = await run(app, *codes)
    made = await exported(app, session_id)
    nbformat.validate(made)
    cells = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    assert [cell["source"] for cell in cells] == codes
    ran = [event for event in await app.gateway.transcript(app.stdio_principal(), session_id) if "cell_id" in event]
    assert [cell["id"] for cell in cells] == [event["cell_id"] for event in ran if event["kind"] == "cell_ran"]
    first, failed, last = (cell["metadata"]["kernel_gateway"] for cell in cells)
    (call,) = first["calls"]
    said = {"operation": "image_ops:quota_get", "status": "ok", "decision": "allow", "approver": "auto"}
    assert said.items() <= call.items() and call["duration_ms"] > 0
    assert (failed["status"], failed["ename"], cells[1]["metadata"]["tags"]) == (
        "error",
        "ZeroDivisionError",
        ["raises-exception"],
    )
    assert [kind for kind, *_ in last["outputs"]] == ["stdout"]
    assert [each["parent"] for each in (first, failed, last)] == ["", cells[0]["id"], cells[1]["id"]]
    assert {each["author"] for each in (first, failed, last)} == {"agent"}


async def test_a_secret_in_a_cell_is_not_exported(make):
    app = await make()
    session_id = await run(app, f"key = '{KEY}'")
    assert KEY not in json.dumps(await exported(app, session_id))


async def test_who_took_the_text_is_written_down(make):
    app = await make()
    session_id = await run(app, "1")
    await exported(app, session_id)
    events = await app.gateway.transcript(app.stdio_principal(), session_id)
    assert [(event["subject"], event["reason"]) for event in events if event["kind"] == "source_shown"] == [
        (app.stdio_principal().subject, "exported")
    ]


async def test_where_only_digests_are_kept_there_is_no_notebook(make, tmp_path):
    app = await make(sessions={"source": "digest-only"})
    session_id = await run(app, "x = 'a-word-in-a-cell'")
    with pytest.raises(GatewayError) as caught:
        await exported(app, session_id)
    assert (caught.value.code, caught.value.meaning.http) == ("not_available", 404)
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"a-word-in-a-cell" not in path.read_bytes()


async def test_the_text_is_encrypted_and_goes_with_its_session(make, tmp_path):
    app = await make()
    session_id = await run(app, "x = 'a-word-in-a-cell'")
    assert list((await app.gateway.source(app.stdio_principal(), session_id)).values()) == ["x = 'a-word-in-a-cell'"]
    await app.gateway.close_session(app.stdio_principal(), session_id)
    with pytest.raises(GatewayError, match="no session"):
        await app.gateway.source(app.stdio_principal(), session_id)
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"a-word-in-a-cell" not in path.read_bytes()


async def test_what_a_dead_gateways_session_left_is_shredded_at_the_next_start(gateway_settings, make):
    app = await make()
    session_id = await run(app, "x = 1")
    sources = app.gateway._sources
    assert len(await sources.exact(session_id)) == 1
    await sources.recover(lambda each: each == session_id)
    assert len(await sources.exact(session_id)) == 1
    await sources.recover(lambda _: False)
    assert await sources.exact(session_id) == {}


async def test_an_operator_exports_to_a_file_that_is_not_there(make, tmp_path, monkeypatch, capsys):
    app = await make()
    session_id = await run(app, "21 * 2")
    file = tmp_path / "session.ipynb"
    options = __main__._parser().parse_args(["sessions", "export", session_id, "-o", str(file), "--json"])
    assert await options.run(app.settings, options) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(file), "cells": 1}
    made = nbformat.read(file, as_version=4)
    nbformat.validate(made)
    assert made.metadata.kernelspec.name == "agent-kernel"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Exception, match="cannot write"):
        await options.run(app.settings, options)
