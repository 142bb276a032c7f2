"""The record of a mutation: what a second call with its key gets, before and after the gateway's death."""

from dataclasses import replace

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.effect import Effect, State, Verdict, verdict
from kernel_gateway.limits.effects import ANSWER, Begun, Effects
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault

KEYED = Effect("k" * 64, True, "store:files_create", "a" * 64, "acme", "s1", "cell-1")
KEYLESS = replace(KEYED, keyed=False, operation="store:files_touch")
RETENTION = 100.0


class Life:
    """One life of the gateway: what it does not write down is gone with it."""

    def __init__(self, folder):
        self.now = 1000.0
        self.database = Database(folder / "gateway.db")
        self.vault = Vault(self.database, Keys(folder))
        self.effects = Effects(self.database, self.vault, lambda: self.now, RETENTION)

    async def do(self, effect, *steps):
        """Begins it, does `steps`, and ends as a dead process does: without a word."""
        begun = await self.effects.begin(effect)
        for step in steps:
            await getattr(self.effects, step)(effect, *([b"done"] if step == "answered" else []))
        self.effects.end(effect)
        return begun


@pytest.fixture
async def lives(tmp_path):
    made = []

    async def next_life(alive=()):
        for life in made:
            await life.database.close()
        made.append(Life(tmp_path))
        made[-1].left = await made[-1].effects.recover(alive)
        return made[-1]

    yield next_life
    await made[-1].database.close()


@pytest.fixture
async def life(lives):
    return await lives()


async def refusal(life, effect):
    with pytest.raises(GatewayError) as caught:
        await life.effects.begin(effect)
    return caught.value.code


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("state", [state for state in State if state is not State.REFUSED])
def test_other_arguments_are_always_a_conflict_and_an_answer_that_is_kept_is_always_given(state, keyed):
    assert verdict(state, keyed=keyed, same_arguments=False, has_answer=True) is Verdict.CONFLICT
    assert verdict(state, keyed=keyed, same_arguments=False, has_answer=False) is Verdict.CONFLICT
    assert verdict(state, keyed=keyed, same_arguments=True, has_answer=True) is Verdict.REPLAY


@pytest.mark.parametrize("keyed", [True, False])
def test_the_key_of_a_call_that_was_refused_is_not_spent(keyed):
    assert verdict(State.REFUSED, keyed=keyed, same_arguments=False, has_answer=False) is Verdict.SEND


@pytest.mark.parametrize(
    ("state", "keyed", "keyless"),
    [
        (State.BEGUN, Verdict.SEND, Verdict.SEND),
        (State.REFUSED, Verdict.SEND, Verdict.SEND),
        (State.SENT, Verdict.SEND_AGAIN, Verdict.UNKNOWN),
        (State.OUTCOME_UNKNOWN, Verdict.SEND_AGAIN, Verdict.UNKNOWN),
        (State.ANSWERED, Verdict.SEND_AGAIN, Verdict.DONE),
        (State.REPLIED, Verdict.SEND_AGAIN, Verdict.DONE),
    ],
)
def test_what_may_have_been_done_is_sent_again_only_where_the_upstream_honours_keys(state, keyed, keyless):
    for expected, is_keyed in ((keyed, True), (keyless, False)):
        assert verdict(state, keyed=is_keyed, same_arguments=True, has_answer=False) is expected


async def test_a_first_call_goes_on(life):
    assert await life.do(KEYED) == Begun()


@pytest.mark.parametrize("effect", [KEYED, KEYLESS])
async def test_a_finished_one_is_replayed_and_never_sent(life, effect):
    await life.do(effect, "answered")
    assert await life.do(replace(effect, cell_id="cell-2")) == Begun(answer=b"done")


async def test_one_under_way_is_busy_and_with_other_arguments_a_conflict(life):
    await life.effects.begin(KEYED)
    assert await refusal(life, KEYED) == "busy"
    assert await refusal(life, replace(KEYED, arguments="b" * 64)) == "conflict"
    life.effects.end(KEYED)
    assert await life.do(KEYED) == Begun(is_repeat=True)


async def test_other_arguments_under_the_same_key_are_a_conflict_also_after_a_restart(life, lives):
    await life.do(KEYED, "answered")
    other = replace(KEYED, arguments="b" * 64)
    assert await refusal(life, other) == "conflict"
    assert await refusal(await lives(), other) == "conflict"


async def test_a_refused_one_may_be_sent_again(life):
    for effect in (KEYED, replace(KEYLESS, key="l" * 64)):
        await life.do(effect, "refused")
        assert await life.do(effect) == Begun()


@pytest.mark.parametrize(
    ("effect", "steps", "left", "then"),
    [
        (KEYED, (), True, Begun(is_repeat=True)),
        (KEYED, ("answered",), False, Begun(answer=b"done")),
        (KEYED, ("refused",), False, Begun()),
        (KEYLESS, (), False, Begun()),
        (KEYLESS, ("sent",), True, "outcome_unknown"),
        (KEYLESS, ("sent", "unknown"), False, "outcome_unknown"),
        (KEYLESS, ("sent", "answered"), False, Begun(answer=b"done")),
        (KEYLESS, ("sent", "refused"), False, Begun()),
    ],
)
async def test_after_a_restart_the_record_is_enough_to_go_on(life, lives, effect, steps, left, then):
    await life.do(effect, *steps)
    after = await lives(alive={"s1"})
    assert after.left == ([effect] if left else [])
    again = replace(effect, cell_id="cell-9")
    assert (await refusal(after, again) if isinstance(then, str) else await after.do(again)) == then


async def test_what_a_death_left_open_is_told_once(life, lives):
    await life.do(KEYED)
    assert (await lives()).left == [KEYED]
    assert (await lives()).left == []


async def test_answers_of_sessions_that_died_with_the_gateway_are_shredded(life, lives):
    other = replace(KEYLESS, key="l" * 64)
    await life.do(KEYED, "answered")
    await life.do(other, "sent", "answered")
    after = await lives()
    assert await after.vault.names("s1", ANSWER) == []
    assert await after.do(KEYED) == Begun(is_repeat=True)  # the upstream has it
    assert await refusal(after, other) == "conflict"


async def test_another_session_is_not_given_the_answer_whose_handles_it_cannot_use(life):
    await life.do(KEYED, "answered")
    assert await life.do(replace(KEYED, session_id="s2")) == Begun(is_repeat=True)


async def test_answers_die_with_their_session_and_that_it_was_done_is_remembered(life):
    await life.do(KEYLESS, "sent", "answered")
    await life.effects.forget_session("s1")
    assert await life.vault.names("s1", ANSWER) == []
    assert await refusal(life, KEYLESS) == "conflict"


async def test_a_record_is_kept_for_its_time_and_no_longer(life):
    await life.do(KEYLESS, "sent")
    life.now += RETENTION
    await life.effects.forget_session("s2")
    assert await refusal(life, KEYLESS) == "outcome_unknown"
    life.now += 0.001
    await life.effects.forget_session("s2")
    assert await life.do(KEYLESS) == Begun()


async def test_an_answer_that_its_cell_has_is_marked_when_a_session_ends(life):
    await life.do(KEYED, "answered")
    states = [await state(life)]
    await life.effects.forget_session("s2")
    assert [*states, await state(life)] == [State.ANSWERED, State.REPLIED]


async def state(life):
    return await life.database.run(
        lambda connection: connection.exec_driver_sql("SELECT state FROM effects WHERE key = ?", (KEYED.key,)).scalar()
    )


async def test_a_long_answer_is_kept_as_a_short_one(life):
    await life.effects.begin(KEYED)
    await life.effects.answered(KEYED, b"x" * 1_000_000)
    life.effects.end(KEYED)
    assert (await life.do(KEYED)).answer == b"x" * 1_000_000


async def test_nothing_may_be_sent_while_nothing_can_be_written_down(life):
    await life.database.run(lambda connection: connection.exec_driver_sql("DROP TABLE effects"))
    assert await refusal(life, KEYED) == "internal"
    with pytest.raises(GatewayError) as caught:
        await life.effects.sent(KEYLESS)
    assert caught.value.code == "internal"
    assert repr(life.effects) == "<Effects 0 under way>"


@pytest.mark.parametrize("damage", ["DROP TABLE effects", "UPDATE vault_keys SET wrapped = x'00'"])
async def test_an_answer_that_cannot_be_written_down_is_given_all_the_same(life, caplog, damage):
    await life.vault.put("s1", "other", "value", b"")
    await life.effects.begin(KEYED)
    await life.database.run(lambda connection: connection.exec_driver_sql(damage))
    await life.effects.answered(KEYED, b"done")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_no_answer_stands_readable_on_the_disk(life, tmp_path):
    await life.effects.begin(KEYED)
    await life.effects.answered(KEYED, b"the only answer there is")
    assert b"the only answer" not in b"".join(path.read_bytes() for path in tmp_path.glob("gateway.db*"))


@pytest.fixture
async def elsewhere(tmp_path, life):
    """The effects of a gateway beside `life`, which knows that the session s1 is not its own."""
    database = Database(tmp_path / "gateway.db")
    vault = Vault(database, Keys(tmp_path))
    yield Effects(database, vault, lambda: life.now, RETENTION, lambda session_id: session_id == "s1")
    await database.close()


async def test_another_gateway_leaves_alone_what_is_under_way_in_one_that_lives(life, elsewhere):
    kept = replace(KEYED, key="d" * 64)
    await life.do(kept, "answered")
    await life.effects.begin(KEYED)
    assert await elsewhere.recover() == []
    life.effects.end(KEYED)
    assert await state(life) == State.SENT
    assert (await life.do(kept)).answer == b"done"


async def test_what_another_gateway_is_about_to_send_is_busy_here(life, elsewhere):
    await elsewhere.recover()
    await life.effects.begin(KEYLESS)
    with pytest.raises(GatewayError) as caught:
        await elsewhere.begin(replace(KEYLESS, session_id="s2"))
    assert caught.value.code == "busy"
