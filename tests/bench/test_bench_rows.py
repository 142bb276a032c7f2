"""The arithmetic behind build/bench.json, and what it looks like."""

import io
import json

import pytest

from tests.bench.figures import FIGURES
from tests.bench.figures.cells import RUN
from tests.bench.libraries import library
from tests.bench.measurement import Bar, Row, in_turn, percentile_95
from tests.bench.progress import Progress
from tests.bench.report import save, table

CONTRACT = {"figure", "value", "unit", "against", "ratio", "bar", "holds"}


def test_a_ratio_is_that_of_the_medians():
    row = Row("cell", "ms", (1.0, 6.0, 90.0), "plain", (2.0, 3.0, 400.0))
    assert (row.value, row.ratio) == (6.0, 2.0)


@pytest.mark.parametrize(("ours", "holds"), [(6.0, True), (6.001, False)])
def test_a_bar_on_the_ratio_holds_up_to_its_number(ours, holds):
    assert Row("cell", "ms", (ours,), "plain", (2.0,), Bar(3.0, "ratio")).holds is holds


@pytest.mark.parametrize(("ours", "holds"), [(2.0, True), (2.001, False)])
def test_a_bar_on_the_value_does_not_look_at_the_peer(ours, holds):
    assert Row("call", "ms", (ours,), "plain", (0.001,), Bar(2.0, "value")).holds is holds


def test_a_bar_on_a_ratio_without_a_peer_does_not_hold():
    assert not Row("cell", "ms", (1.0,), bar=Bar(3.0, "ratio")).holds


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (20, 18), (21, 19), (100, 94)])
def test_the_95th_percentile_is_a_sample_that_95_of_100_do_not_exceed(count, expected):
    assert percentile_95(list(reversed(range(count)))) == expected


async def test_both_sides_are_measured_in_turn_and_their_warm_up_is_left_out():
    order, told = [], []

    async def side(name):
        order.append(name)
        return [float(len(order))]

    ours, theirs = await in_turn(
        lambda: side("ours"),
        lambda: side("theirs"),
        rounds=2,
        warm_up=1,
        progress=lambda done, total: told.append((done, total)),
    )
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert (ours, theirs) == ((4.0, 5.0), (3.0, 6.0))
    assert told == [(0, 3), (1, 3), (2, 3)]


def test_the_file_is_the_contracts_list_and_the_samples_lie_beside_it(tmp_path):
    rows = [Row("cell", "ms", (6.0,), "plain", (2.0,), Bar(3.0, "ratio")), Row("leaks", "", (0.0,))]
    save(rows, {"cores": 2}, tmp_path)
    saved = json.loads((tmp_path / "bench.json").read_text())
    assert all(set(each) == CONTRACT for each in saved)
    assert saved[0] == {
        "figure": "cell",
        "value": 6.0,
        "unit": "ms",
        "against": "plain",
        "ratio": 3.0,
        "bar": 3.0,
        "holds": True,
    }
    assert (saved[1]["against"], saved[1]["ratio"], saved[1]["bar"], saved[1]["holds"]) == (None, None, None, True)
    samples = json.loads((tmp_path / "bench" / "samples.json").read_text())
    assert samples["machine"] == {"cores": 2}
    assert samples["rows"][0]["theirs"] == [2.0]


def test_the_table_names_a_broken_bar():
    lines = table([Row("cell", "ms", (7.0,), "plain", (2.0,), Bar(3.0, "ratio"))]).splitlines()
    assert lines[0].split()[0] == "figure"
    assert lines[1].endswith("ratio <= 3     NO")


def test_what_a_reader_must_know_stands_below_the_table():
    rows = [Row("cell", "ms", (7.0,)), Row("memory", "MiB", (9.0,), note="without the gateway")]
    assert table(rows).splitlines()[3:] == ["", "memory: without the gateway"]


def test_progress_is_silent_in_a_pipe():
    pipe = io.StringIO()
    progress = Progress(pipe)
    progress.say("installing")
    progress.count("cells", 1, 2)
    progress.clear()
    assert pipe.getvalue() == ""


def test_progress_shows_on_a_terminal_and_leaves_nothing_behind():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    progress = Progress(terminal)
    progress.count("cells", 1, 2)
    progress.clear()
    assert terminal.getvalue() == "\r\x1b[Kcells: 1 of 2\r\x1b[K"


def test_a_run_has_ten_cells_and_every_figure_a_function():
    assert len(RUN) == 10
    assert all(callable(figure) for figure in FIGURES.values())


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/srv/.venv/lib/python3.11/site-packages/tornado/web.py", "tornado"),
        ("/srv/.venv/lib/python3.11/site-packages/typing_extensions.py", "typing_extensions"),
        ("/opt/kernel/IPython/core/history.py", "IPython"),
        ("/opt/kernel/kernel_ext/channel.py", "kernel_ext"),
        ("/srv/kernel_gateway/gateway.py", "kernel_gateway"),
        ("/usr/lib/python3.11/asyncio/events.py", "asyncio"),
        ("/usr/lib/python3.11/json/decoder.py", "standard library"),
        ("~", "built-in"),
    ],
)
def test_a_function_is_counted_for_its_library(file, name):
    assert library((file, 1, "function")) == name
