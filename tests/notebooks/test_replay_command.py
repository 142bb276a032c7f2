"""`sessions export` and `sessions replay` as a person types them, beside a gateway that runs."""

import json

import nbformat
import pytest

from kernel_gateway import __main__
from kernel_gateway.errors import ConfigError, GatewayError


@pytest.fixture
async def shell(house):
    """`run("sessions", ...)` -> its exit code, on the gateway of `shell.house`."""

    class Shell:
        def __init__(self, house):
            self.house = house

        async def run(self, *words):
            options = __main__._parser().parse_args([*words])
            return await options.run(self.house.app.settings, options)

    async def start(**sections):
        return Shell(await house(**sections))

    return start


@pytest.fixture
async def exported(shell, tmp_path, capsys):
    """A shell, and the file of a session of these cells."""

    async def export(*codes):
        here, file = await shell(), tmp_path / "session.ipynb"
        session_id = await here.house.run(*codes)
        assert await here.run("sessions", "export", session_id, "-o", str(file)) == 0
        capsys.readouterr()
        return here, file

    return export


async def test_what_did_the_same_ends_with_0(exported, capsys):
    here, file = await exported("x = 1", "1/0")
    assert await here.run("sessions", "replay", str(file)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "same    cell 1   ok",
        "same    cell 2   error",
        "all 2 cells did the same",
    ]


async def test_a_difference_is_shown_and_ends_with_1(exported, capsys):
    here, file = await exported("x = 'before'", "print(x)")
    document = nbformat.read(file, as_version=4)
    document.cells[1].source = "x = 'another'"
    document.cells[2].outputs = [nbformat.v4.new_output("stream", name="stdout", text="before\n")]
    nbformat.write(document, file)
    assert await here.run("sessions", "replay", str(file), "--recorded") == 1
    said = capsys.readouterr().out
    first, second, *diff, last = said.splitlines()
    assert first == "same    cell 1   ok (edited)"
    assert second.startswith("DIFFERS cell 2   ok   its stdout is another (8 bytes, 7 when it ran)")
    assert last.startswith("the first difference is in cell 2: its stdout is another")
    assert any("before" in line for line in diff) and any("another" in line for line in diff)


async def test_for_programs_each_cell_is_an_object(exported, capsys):
    here, file = await exported("x = 1")
    assert await here.run("sessions", "replay", str(file), "--json") == 0
    (report,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert {"cell": 1, "status": "ok", "same": True, "why": "", "known": True}.items() <= report.items()


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"nbformat": 4, "nbformat_minor": 5}'])
async def test_a_file_that_is_no_notebook_ends_with_2(shell, tmp_path, capsys, text):
    here, file = await shell(), tmp_path / "f.ipynb"
    file.write_text(text)
    assert await here.run("sessions", "replay", str(file)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"kernel-gateway: `{file}` is no notebook that can be read")


async def test_a_file_that_is_not_there_ends_with_2(shell, capsys, tmp_path):
    assert await (await shell()).run("sessions", "replay", str(tmp_path / "never.ipynb")) == 2
    assert "there is no file" in capsys.readouterr().err


async def test_without_a_gateway_it_says_where_it_looked(exported, gateway_settings, tmp_path):
    here, file = await exported("x = 1")
    settings = gateway_settings(store={"folder": str(tmp_path / "another")})
    options = __main__._parser().parse_args(["sessions", "replay", str(file)])
    with pytest.raises(ConfigError, match="no gateway runs on the state folder"):
        await options.run(settings, options)
    assert here.house.app.gateway.live()


async def test_a_service_that_keeps_no_text_says_so(shell, tmp_path):
    here, file = await shell(sessions={"source": "digest-only"}), tmp_path / "f.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), file)
    with pytest.raises(GatewayError) as caught:
        await here.run("sessions", "replay", str(file))
    assert caught.value.code == "not_available"
