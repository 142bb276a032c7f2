"""The notebooks of sessions that were forked, and of those that went back."""


def code(document):
    return [cell["source"] for cell in document["cells"] if cell["cell_type"] == "code"]


async def test_a_forks_notebook_begins_with_the_first_cell_and_replays(house):
    house = await house()
    parent = await house.run("x = 1", "x = 2", "x = 3")
    fork = await house.fork(parent, 2)
    await house.run("print(x)", session_id=fork)
    document = await house.export(fork)
    assert code(document) == ["x = 1", "x = 2", "print(x)"]
    reports = await house.replay(document)
    assert [(each.same, each.known, each.edited) for each in reports] == [(True, True, False)] * 3, reports


async def test_a_session_that_went_back_replays_the_branch_that_counts(house):
    house = await house()
    session_id = await house.run("x = 1", "x = 2")
    await house.fork(session_id, 1, in_place=True)
    await house.run("print(x)", session_id=session_id)
    document = await house.export(session_id)
    assert code(document) == ["x = 1", "x = 2", "print(x)"]
    reports = await house.replay(document)
    assert [each.same for each in reports] == [True, True], reports
    events = await house.app.gateway.transcript(house.me, session_id)
    ran = [event for event in events if event["kind"] == "cell_ran"]
    assert ran[2]["parent_id"] == ran[0]["cell_id"]
