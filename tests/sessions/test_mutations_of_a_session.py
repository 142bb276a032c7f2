"""What is kept of a session's mutations, and when it goes."""

import sqlite3

import pytest

from kernel_gateway.sessions.result import ExecuteRequest

UPLOAD = "image_ops.uploads_init(content_type='image/png', size_bytes=1).upload_id"


@pytest.fixture
async def gateway(gateway_settings, world_and_app):
    _, app = await world_and_app(gateway_settings())
    return app.gateway, app.stdio_principal()


def rows(folder, table):
    with sqlite3.connect(folder / "state" / "data" / "gateway.db") as database:
        (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    database.close()
    return count


async def test_stored_answers_die_with_their_session_and_what_was_done_is_remembered(gateway, tmp_path):
    door, me = gateway
    result = await door.execute(me, ExecuteRequest(UPLOAD))
    assert result.status == "ok"
    assert [rows(tmp_path, table) for table in ("vault_values", "vault_keys", "effects")] == [4, 1, 1]
    await door.close_session(me, result.session_id)
    assert [rows(tmp_path, table) for table in ("vault_values", "vault_keys", "effects")] == [0, 0, 1]


async def test_two_cells_without_a_request_id_are_two_intentions(gateway, tmp_path):
    door, me = gateway
    first = await door.execute(me, ExecuteRequest(UPLOAD))
    second = await door.execute(me, ExecuteRequest(UPLOAD, first.session_id))
    assert first.result != second.result and not second.calls[0].replayed
    assert rows(tmp_path, "effects") == 2
