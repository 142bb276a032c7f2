"""Variables that cannot be pickled come back: the fewest cells run again, on the state of then, and call nothing."""

import pytest

from tests.conftest import until
from tests.sessions.test_survival import cell, committed, hold_commits, kill, make, session_of

__all__ = ["make"]


async def after(app, *codes):
    """A session in which each of these cells has a commit of its own."""
    session_id = ""
    for code in codes:
        session_id = (await cell(app, code, session_id)).session_id
        session = await committed(app, session_id)
    return session


async def killed(app, *codes):
    session = await after(app, *codes)
    await kill(session)
    return session.id


async def test_an_open_file_that_its_cell_made_is_open_again(make):
    app = await make()
    made = "with open('a.txt', 'w') as made:\n    made.write('one\\ntwo\\n')\nf = open('a.txt')\nfirst = f.readline()"
    session_id = await killed(app, "x = 1", made, "y = 2")
    again = await cell(app, "f.readline(), first, x, y", session_id)
    assert (again.result, again.rerun) == ("('two\\n', 'one\\n', 1, 2)", (2,))
    assert not any("`f`" in line for line in again.lost)


async def test_a_generator_stands_where_a_later_cell_left_it(make):
    app = await make()
    session_id = await killed(
        app, "g = (n * n for n in range(9))", "seen = [next(g), next(g)]", "other = 'x'", "seen.append(next(g))"
    )
    again = await cell(app, "next(g), seen", session_id)
    assert (again.result, again.rerun, again.lost) == ("(9, [0, 1, 4])", (1, 2, 4), ())


async def test_what_could_be_pickled_is_the_committed_one_and_not_what_the_cells_make(make):
    app = await make()
    session_id = await killed(
        app, "data = [1, 2, 3]", "g = iter([n for n in data] + [(yes for yes in 'ab')])\nn = 0", "n = 5; data.append(4)"
    )
    again = await cell(app, "data, n, next(g)", session_id)
    assert (again.result, again.rerun) == ("([1, 2, 3, 4], 5, 1)", (2,))


async def test_one_that_runs_over_data_that_changed_afterwards_goes_on_with_the_old_and_says_so(make):
    app = await make()
    session_id = await killed(
        app, "data = {'numbers': [1, 2]}; n = 1", "g = iter(x for x in data['numbers'])", "data['numbers'].append(3)"
    )
    again = await cell(app, "list(g), data, n", session_id)
    assert (again.result, again.rerun) == ("([1, 2], {'numbers': [1, 2, 3]}, 1)", (2,))
    (told,) = again.lost
    assert told.startswith("`g`: no longer shares `data`; it was made again, over what they were then")


async def test_a_database_in_memory_that_three_cells_filled_is_full_again(make):
    app = await make()
    session_id = await killed(
        app,
        "import sqlite3\ndb = sqlite3.connect(':memory:')",
        "unrelated = 1",
        "_ = db.execute('create table t (n int)')",
        "rows = [(n,) for n in range(5)]",
        "_ = db.executemany('insert into t values (?)', rows); db.commit()",
    )
    again = await cell(app, "db.execute('select sum(n) from t').fetchone(), unrelated", session_id)
    assert (again.result, again.rerun, again.lost) == ("((10,), 1)", (1, 3, 5), ())


async def test_what_a_cell_needs_is_there_when_it_runs_again(make):
    app = await make()
    session_id = await killed(
        app,
        "def double(n):\n    return factor * n",
        "factor = 2",
        "g = (lambda: (double(n) for n in range(1, 9)))()",
        "factor = 100",
    )
    again = await cell(app, "next(g), factor", session_id)
    assert (again.rerun, again.lost) == ((3,), ())
    assert again.result == "(100, 100)"  # as it would have been: the function sees the session's variables


async def test_what_it_was_made_of_is_made_first_though_it_is_gone_by_now(make):
    app = await make()
    session_id = await killed(
        app,
        "numbers = (n for n in range(9))",
        "pairs = zip(numbers, (c for c in 'abcdefghi'))\nfirst = next(pairs)",
        "del numbers",
    )
    again = await cell(app, "next(pairs), first, 'numbers' in dir()", session_id)
    assert (again.result, again.rerun, again.lost) == ("((1, 'b'), (0, 'a'), False)", (1, 2, 3), ())


async def test_two_that_share_something_share_it_again(make):
    app = await make()
    session_id = await killed(app, "g = (n for n in range(9))", "h = (n for n in g)", "next(h), next(h)")
    again = await cell(app, "next(g), next(h)", session_id)
    assert (again.result, again.rerun, again.lost) == ("(2, 3)", (1, 2, 3), ())


async def test_only_the_cells_since_it_could_still_be_pickled_run_again(make):
    app = await make()
    session_id = await killed(app, "box = {'n': 1}", "box['m'] = 2", "box['g'] = (n for n in range(3))", "k = 1")
    again = await cell(app, "next(box['g']), box['n'], box['m'], k", session_id)
    assert (again.result, again.rerun, again.lost) == ("(0, 1, 2, 1)", (3,), ())


async def test_cells_that_were_committed_together_run_together(make, monkeypatch):
    app = await make()
    session = await after(app, "a = [1]")
    with monkeypatch.context() as held:
        await hold_commits(session, held)
        await cell(app, "b = [2, 3]", session.id)
        await cell(app, "g = (n for n in a + b)", session.id)
    await cell(app, "next(g)", session.id)
    await kill(await committed(app, session.id))
    again = await cell(app, "next(g), a, b", session.id)
    assert (again.result, again.rerun, again.lost) == ("(2, [1], [2, 3])", (2, 3, 4), ())


async def test_its_calls_get_the_answers_of_then_for_as_long_as_it_lives(make):
    app = await make()
    made = "org = image_ops.quota_get()['org']\ng = (n for n in [org, 'next'])"
    session = await after(app, made, "x = 1")
    calls = session.account.calls
    await kill(session)
    again = await cell(app, "next(g) == org, next(g)", session.id)
    assert (again.result, again.rerun, again.lost) == ("(True, 'next')", (1,), ())
    assert session.account.calls == calls
    trail = session._services.durable.trail
    await committed(app, session.id)
    assert await trail.answers(session.id, 1)
    await cell(app, "del g", session.id)
    await committed(app, session.id)
    await session.saving.settled()
    assert await trail.answers(session.id, 1) == b""


async def test_a_call_whose_answer_is_gone_is_not_made_and_it_stays_lost(make, monkeypatch):
    app = await make()
    monkeypatch.setattr("kernel_gateway.broker.recorded.MAX_ANSWER_BYTES", 1)
    made = "try:\n    org = image_ops.quota_get()['org']\nexcept Exception:\n    org = 'none'\ng = (n for n in [org])"
    session = await after(app, made, "h = (n for n in 'ab')")
    calls = session.account.calls
    await kill(session)
    again = await cell(app, "'g' in dir(), next(h), org == 'none'", session.id)
    assert again.result == "(False, 'a', False)"
    (told,) = again.lost
    assert "`g`" in told and "cell 1 calls an operation whose answer was not kept" in told
    assert session.account.calls == calls


async def test_a_cell_that_ends_otherwise_this_time_makes_nothing(make):
    app = await make()
    session_id = await killed(
        app, "import pathlib\nwritten = pathlib.Path('a.txt').write_text('one')", "f = open('a.txt')", "n = 1"
    )
    again = await cell(app, "'f' in dir(), n", session_id)
    assert again.result == "(False, 1)" and again.rerun == (2,)
    assert any("`f`" in line and "cell 2 ended with `error` when it was run again" in line for line in again.lost)


@pytest.mark.parametrize(("most", "lost"), [(2, ()), (1, ("`g`",))])
async def test_so_many_cells_are_run_again_and_no_more(make, most, lost):
    app = await make(sessions={"max_rebuild_cells": most})
    session_id = await killed(app, "g = (n for n in range(9))", "next(g)")
    again = await cell(app, "'g' in dir()", session_id)
    assert (again.result, len(again.rerun)) == (str(not lost), 0 if lost else 2)
    assert tuple(line[:3] for line in again.lost) == lost
    assert all("it takes 2 cells, and 1 are run again" in line for line in again.lost)


@pytest.mark.parametrize(("most", "is_there"), [(20_000, True), (10_000, False)])
async def test_so_much_is_loaded_for_a_cell_and_no_more(make, most, is_there):
    app = await make(sessions={"max_rebuild_bytes": most})
    session_id = await killed(app, "data = 'x' * 15_000; large = 'y' * 50_000", "g = (c for c in data)")
    again = await cell(app, "'g' in dir(), len(data), len(large)", session_id)
    assert again.result == f"({is_there}, 15000, 50000)"
    assert is_there or f"and {most} are loaded" in again.lost[0]


async def test_making_it_again_takes_so_long_and_no_longer(make):
    app = await make(sessions={"rerun_seconds": 0.3})
    slow = "import time\nbegan = time.monotonic()\nwhile time.monotonic() - began < 1.0: pass\ng = (n for n in 'ab')"
    session_id = await killed(app, slow, "n = 1")
    again = await cell(app, "'g' in dir(), n", session_id)
    assert again.result == "(False, 1)" and "took longer than the 0.3 s" in again.lost[0]


async def test_what_is_too_large_to_save_is_not_made_again(make):
    app = await make(sessions={"max_checkpoint_bytes": 200_000})
    session_id = await killed(app, "import os\nlarge = os.urandom(300_000)", "n = 1")
    again = await cell(app, "'large' in dir(), n", session_id)
    assert (again.result, again.rerun) == ("(False, 1)", ())
    assert "`large`" in again.lost[0]


async def test_after_hibernation_it_is_made_again_and_the_random_numbers_go_on(make):
    app = await make(sessions={"idle_seconds": 0.05, "reap_interval_seconds": 0.02})
    first = await cell(
        app, "import random\nrandom.seed(7)\ng = (n for n in [random.random(), 2])\nexpected = random.Random(7)"
    )
    session = session_of(app, first.session_id)
    await until(lambda: session.state == "hibernated")
    again = await cell(app, "_ = expected.random(); next(g), random.random() == expected.random()", session.id)
    assert again.result.endswith(", True)") and (again.rerun, again.lost) == ((1,), ())


async def test_in_a_fork_it_is_made_again_and_the_parents_goes_on(make):
    app = await make()
    session = await after(app, "data = [1, 2, 3]", "g = (n for n in data)", "first = next(g)", "second = next(g)")
    child = await cell(app, "next(g), first", session.id, fork_from_cell=3)
    assert (child.result, child.rerun) == ("(2, 1)", (1, 2, 3))
    assert (await cell(app, "next(g)", session.id)).result == "3"


async def test_a_session_that_went_back_makes_what_it_had_then(make):
    app = await make()
    session = await after(app, "g = (n for n in range(9))", "first = next(g)", "second = next(g)")
    await app.gateway.fork(app.stdio_principal(), session.id, 2, in_place=True)
    again = await cell(app, "next(g), first", session.id)
    assert (again.result, again.rerun, again.lost) == ("(1, 0)", (1, 2), ())


async def test_a_cell_that_ends_its_kernel_this_time_is_not_tried_again(make):
    app = await make()
    made = "import ctypes\nif not pathlib.Path('mark').exists():\n    ctypes.string_at(0)\ng = (n for n in 'ab')"
    session_id = await killed(app, "import pathlib\nwritten = pathlib.Path('mark').write_text('x')", made, "n = 1")
    again = await cell(app, "'g' in dir(), n", session_id)
    assert (again.result, again.rerun) == ("(False, 1)", ())
    assert "the kernel ended when that was tried" in again.lost[0]
