"""The kill switch by itself: what it refuses, how long it holds, and that it is closed where it cannot be read."""

import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.switch import MAX_NAME_CHARACTERS, MAX_NAMED, MAX_REASON_CHARACTERS, Switch
from kernel_gateway.limits.switch_file import Off, Part, SwitchFile
from kernel_gateway.limits.switched import STILL_ALLOWED, Switched
from kernel_gateway.policy.request import Context, Decision, Request
from tests.conftest import until

WATCH_SECONDS = 0.01
ASKED = {"server": "store", "operation": "store:wipe", "role": "dev", "front_end": "mcp"}
NAMED = [(Part(name), value) for name, value in ASKED.items()]


@pytest.fixture
async def switch_on(tmp_path):
    """`switch_on(folder)` -> a Switch that watches its file; without a folder they all share one."""
    made = []

    def make(folder=None):
        switch = Switch(SwitchFile(folder or tmp_path / "state"), WATCH_SECONDS, lambda: 1000.0)
        switch.start()
        made.append(switch)
        return switch

    yield make
    for switch in made:
        await switch.close()


@pytest.fixture
def file(tmp_path):
    SwitchFile(tmp_path / "state")
    return tmp_path / "state" / "switch.json"


async def test_a_new_folder_begins_with_everything_on(switch_on):
    assert switch_on().refuses(**ASKED) == ""


@pytest.mark.parametrize(("part", "name"), NAMED)
async def test_what_is_off_by_name_is_refused_and_its_like_is_not(switch_on, part, name):
    switch = switch_on()
    await switch.switch_off(part, name, reason="a leak", by="ops")
    what = f"the {part.replace('_', ' ')} `{name}`"
    assert switch.refuses(**ASKED) == f"{what} is switched off: a leak; an operator must switch it on again"
    assert switch.refuses(**{**ASKED, part.value: f"{name}x"}) == ""
    assert switch.refuses(**{**ASKED, part.value: ""}) == ""
    assert switch.refuses() == ""


async def test_everything_off_refuses_whatever_is_asked(switch_on):
    switch = switch_on()
    await switch.switch_off(Part.ALL)
    for asked in ({}, ASKED, {"role": "admin"}):
        assert switch.refuses(**asked) == "this service is switched off; an operator must switch it on again"


async def test_on_leaves_off_what_is_off_by_another_name(switch_on):
    switch = switch_on()
    await switch.switch_off(Part.ALL)
    await switch.switch_off(Part.SERVER, "store")
    await switch.switch_on(Part.ALL)
    assert switch.refuses() == ""
    assert switch.refuses(**ASKED).startswith("the server `store` is switched off")
    await switch.switch_on(Part.SERVER, "store")
    assert switch.refuses(**ASKED) == ""


async def test_it_outlives_its_process(switch_on):
    await switch_on().switch_off(Part.ROLE, "dev", reason="drill", by="ops")
    assert switch_on().off == (Off(Part.ROLE, "dev", "drill", "ops", 1000.0),)


async def test_each_change_begins_an_epoch_that_the_other_gateways_and_a_restart_share(switch_on):
    ours, theirs = switch_on(), switch_on()
    epochs = [ours.epoch]
    for change in (ours.switch_off(Part.ALL), ours.switch_on(Part.ALL), theirs.switch_off(Part.ROLE, "dev")):
        await change
        await until(lambda: ours.epoch == theirs.epoch != epochs[-1])
        epochs.append(switch_on().epoch)
    assert len(set(epochs)) == 4


async def test_another_gateway_of_the_folder_learns_of_it_and_says_so(switch_on):
    ours, theirs = switch_on(), switch_on()
    heard = []
    theirs.subscribe(lambda: heard.append(theirs.refuses(**ASKED)))
    await ours.switch_off(Part.ALL, reason="drill")
    await until(lambda: heard)
    await ours.switch_on(Part.ALL)
    await until(lambda: len(heard) == 2)
    assert [bool(refusal) for refusal in heard] == [True, False]


async def test_two_gateways_that_switch_at_once_lose_nothing(switch_on):
    ours, theirs = switch_on(), switch_on()
    for number in range(10):
        await ours.switch_off(Part.ROLE, f"ours-{number}")
        await theirs.switch_off(Part.ROLE, f"theirs-{number}")
    assert {off.name for off in switch_on().off} == {f"{who}-{n}" for who in ("ours", "theirs") for n in range(10)}


async def test_listeners_hear_of_off_before_it_is_on_the_disk(switch_on):
    switch, heard = switch_on(), []
    switch.subscribe(lambda: heard.append((bool(switch.refuses()), bool(switch_on().refuses()))))
    await switch.switch_off(Part.ALL)
    assert heard == [(True, False)]
    assert switch_on().refuses()


UNREADABLE = {
    "empty": b"",
    "half": b'[{"part": "ro',
    "a list": b"[]",
    "nothing": b"{}",
    "no list": b'{"epoch": "1"}',
    "no epoch": b'{"off": []}',
    "an unknown part": b'{"epoch": "1", "off": [{"part": "moon", "name": "x", "reason": "", "by": "", "at": 1.0}]}',
    "no name": b'{"epoch": "1", "off": [{"part": "role", "name": "", "reason": "", "by": "", "at": 1.0}]}',
    "a name of all": b'{"epoch": "1", "off": [{"part": "all", "name": "x", "reason": "", "by": "", "at": 1.0}]}',
    "a missing key": b'{"epoch": "1", "off": [{"part": "all", "name": ""}]}',
    "not text": bytes(range(128, 256)),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_file_that_cannot_be_read_switches_everything_off(switch_on, file, content):
    file.write_bytes(content)
    assert "its state cannot be read, see switch.json" in switch_on().refuses()


@given(content=st.binary(max_size=60))
def test_whatever_else_a_file_holds_everything_is_off(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    switch_file = SwitchFile(folder)
    (folder / "switch.json").write_bytes(content)
    assert [off.part for off in switch_file.read().off] == [Part.ALL]


@pytest.mark.parametrize("spoil", [os.unlink, lambda file: file.chmod(0o644), lambda file: file.write_bytes(b"?")])
async def test_a_file_that_is_spoilt_under_a_running_gateway_switches_everything_off(switch_on, file, spoil):
    switch = switch_on()
    assert switch.refuses() == ""
    spoil(file)
    await until(switch.refuses)


async def test_on_mends_a_file_that_could_not_be_read(switch_on, file):
    file.write_bytes(b"?")
    switch = switch_on()
    await switch.switch_on(Part.ALL)
    assert (switch.refuses(), json.loads(file.read_text())["off"]) == ("", [])


async def test_who_switched_may_be_called_anything(switch_on):
    await switch_on().switch_off(Part.ALL, by="\ud800\n" + "x" * 200)
    assert switch_on().off[0].by == "??" + "x" * (MAX_NAME_CHARACTERS - 2)


def test_only_this_user_can_open_the_file(file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_off_holds_where_it_cannot_be_written_down_and_says_so(switch_on, file):
    switch = switch_on()
    file.with_name("switch.lock").unlink()
    file.with_name("switch.lock").mkdir()
    with pytest.raises(GatewayError, match="on again after a restart"):
        await switch.switch_off(Part.ALL)
    assert switch.refuses()
    with pytest.raises(GatewayError, match="so it stays off"):
        await switch.switch_on(Part.ALL)
    assert switch.refuses()


async def test_off_that_could_not_be_written_survives_a_change_of_the_file(switch_on, file):
    switch, heard = switch_on(), []
    file.with_name("switch.lock").unlink()
    file.with_name("switch.lock").mkdir()
    with pytest.raises(GatewayError):
        await switch.switch_off(Part.ALL)
    switch.subscribe(lambda: heard.append(switch.refuses()))
    entry = {"part": "role", "name": "dev", "reason": "", "by": "", "at": 1.0}
    file.write_text(json.dumps({"epoch": "1", "off": [entry]}))
    await until(lambda: heard)
    assert heard == ["this service is switched off; an operator must switch it on again"]
    assert switch.refuses(role="dev")


@pytest.mark.parametrize(
    ("part", "name", "reason"),
    [
        (Part.ALL, "x", ""),
        (Part.ROLE, "", ""),
        (Part.ROLE, "x" * (MAX_NAME_CHARACTERS + 1), ""),
        (Part.ROLE, "a\nb", ""),
        (Part.ALL, "", "x" * (MAX_REASON_CHARACTERS + 1)),
        (Part.ALL, "", "two\nlines"),
        (Part.ALL, "", "\u202edesrever"),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_changes_nothing(switch_on, part, name, reason):
    switch = switch_on()
    with pytest.raises(GatewayError) as refused:
        await switch.switch_off(part, name, reason=reason)
    assert (refused.value.code, switch.off) == ("invalid", ())


async def test_the_longest_names_and_reasons_are_kept_up_to_the_number_and_everything_still_goes_off(switch_on):
    switch, reason = switch_on(), "\U0001f6d1" * MAX_REASON_CHARACTERS
    names = [f"{number:02}".ljust(MAX_NAME_CHARACTERS, "\U0001f6d1") for number in range(MAX_NAMED + 1)]
    for name in names[:-1]:
        await switch.switch_off(Part.ROLE, name, reason=reason, by=2 * names[0])
    with pytest.raises(GatewayError, match="switch off everything instead"):
        await switch.switch_off(Part.ROLE, names[-1])
    await switch.switch_off(Part.ROLE, names[0], reason=reason, by=names[0])
    await switch.switch_off(Part.ALL, reason=reason, by=names[0])
    assert len(switch_on().off) == MAX_NAMED + 1
    assert switch_on().refuses().startswith("this service is switched off: \U0001f6d1")


class AllowsAll:
    """An authorizer without rules."""

    def decide(self, request):
        return Decision(True, "any")


def request(action, resource="", role="dev", front_end="mcp"):
    principal = Principal("i", "acme", "ada", "agent", role, frozenset(), 2000.0, front_end)
    return Request(principal, action, resource, "a.scope", Context.outside(1000.0))


@pytest.mark.parametrize(
    ("action", "allowed"),
    [(action, False) for action in ("search", "execute", "call", "blob_read", "create", "attach", "not thought of yet")]
    + [(action, True) for action in sorted(STILL_ALLOWED)],
)
async def test_all_but_seeing_ending_and_switching_stops_when_everything_is_off(switch_on, action, allowed):
    switch = switch_on()
    await switch.switch_off(Part.ALL)
    decision = Switched(AllowsAll(), switch).decide(request(action, "store:wipe"))
    assert decision.allowed is allowed
    assert allowed or (decision.rule, decision.code) == ("kill_switch", "disabled")


@pytest.mark.parametrize(
    ("part", "name", "refused"),
    [
        (Part.SERVER, "store", {"call store:wipe", "call store:read", "blob_read store"}),
        (Part.OPERATION, "store:wipe", {"call store:wipe"}),
        (
            Part.ROLE,
            "dev",
            {"call store:wipe", "call store:read", "call other:wipe", "blob_read store", "execute store:wipe"},
        ),
        (Part.FRONT_END, "stdio", set()),
    ],
)
async def test_what_is_off_by_name_stops_what_belongs_to_it(switch_on, part, name, refused):
    switch = switch_on()
    await switch.switch_off(part, name)
    asked = ["call store:wipe", "call store:read", "call other:wipe", "blob_read store", "execute store:wipe"]
    decide = Switched(AllowsAll(), switch).decide
    assert {each for each in asked if not decide(request(*each.split())).allowed} == refused


async def test_a_change_that_another_gateway_makes_right_after_ours_is_not_missed(switch_on, tmp_path):
    """It comes between our writing and our looking at what we wrote."""
    theirs = Off(Part.ALL, "", "an incident", "them", 1000.0)

    class Followed(SwitchFile):
        def change(self, change):
            state = super().change(change)
            SwitchFile(tmp_path / "state").change(lambda entries: (*entries, theirs))
            return state

    ours = switch_on()
    ours._file = Followed(tmp_path / "state")
    await ours.switch_off(Part.SERVER, "store")
    await until(lambda: theirs in ours.off)
    assert ours.epoch == SwitchFile(tmp_path / "state").read().epoch
    await ours.switch_on(Part.ALL)
    await until(lambda: theirs in ours.off)


class Remembers(AllowsAll):
    """The contexts it was asked with."""

    def __init__(self):
        self.asked = []

    def decide(self, request):
        self.asked.append(request.context)
        return super().decide(request)


async def test_whether_something_is_off_is_a_fact_that_rules_can_speak_of(switch_on):
    switch, inner = switch_on(), Remembers()
    decide = Switched(inner, switch).decide
    decide(request("admin"))
    await switch.switch_off(Part.ROLE, "dev")
    decide(request("admin"))
    decide(request("admin", role="ops"))
    assert [context.kill_switch for context in inner.asked] == [False, True, False]


async def test_a_switch_says_what_is_off(switch_on):
    assert repr(switch_on()) == "<Switch nothing off>"
    assert isinstance(switch_on(), Switch)
