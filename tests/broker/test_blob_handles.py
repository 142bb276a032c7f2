"""Handles: opaque, bound to their session, gone in time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.errors import GatewayError
from kernel_gateway.handles import Handles

MINE = {"organisation": "acme", "session_id": "s1"}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def make(**options):
    clock, ids = Clock(), itertools.count(1)
    handles = Handles(clock, lambda size: f"{next(ids):0{2 * size}x}", **options)

    def mint(direction="read", url="https://files.test/x?sig=s3cr3t", **more):
        return handles.mint(url, server="store", direction=direction, **(MINE | more))

    return handles, mint, clock


def refusal(handles, handle, direction="read", **who):
    with pytest.raises(GatewayError) as refused:
        handles.look(handle.id, *(MINE | who).values(), direction)
    return refused.value.code


def test_what_enters_a_sandbox_is_the_id_and_harmless_facts():
    _, mint, _ = make()
    handle = mint("write", size=5, content_type="image/png", expires_at=1060.5, headers={"X-Key": "s3cr3t"})
    assert handle.public() == {
        "$blob": {
            "id": "0" * 31 + "1",
            "direction": "write",
            "size": 5,
            "content_type": "image/png",
            "expires_at": "1970-01-01T00:17:40.500000Z",
        }
    }
    assert "s3cr3t" not in repr(handle) + repr(handle.public())


def test_a_write_handle_works_only_once():
    handles, mint, _ = make()
    handle = mint("write")
    assert handles.take(handle.id, "acme", "s1", "write") == handle
    assert refusal(handles, handle, "write") == "not_found"


def test_a_read_handle_works_until_it_expires():
    handles, mint, clock = make()
    handle = mint(expires_at=1060.0)
    for _ in range(3):
        assert handles.take(handle.id, "acme", "s1", "read") == handle
    clock.now = 1059.999
    handles.look(handle.id, "acme", "s1", "read")
    clock.now = 1060.0
    assert refusal(handles, handle) == "not_found"


def test_a_link_that_does_not_say_so_expires_after_the_default_time():
    handles, mint, clock = make(ttl_seconds=10.0)
    handle = mint()
    clock.now = 1010.0
    assert refusal(handles, handle) == "not_found"


def test_no_claim_makes_a_handle_live_for_ever():
    _, mint, _ = make()
    assert mint(expires_at=1e300).expires_at == 1000.0 + 30 * 86400


@pytest.mark.parametrize("who", [{"organisation": "globex"}, {"session_id": "s2"}])
def test_anothers_handle_is_not_found(who):
    handles, mint, _ = make()
    mint(session_id="s2", organisation="globex")
    assert refusal(handles, mint(), **who) == "not_found"


@pytest.mark.parametrize(("has", "wants"), [("read", "write"), ("write", "read")])
def test_the_other_direction_is_invalid_and_spends_nothing(has, wants):
    handles, mint, _ = make()
    handle = mint(has)
    assert refusal(handles, handle, wants) == "invalid"
    handles.look(handle.id, "acme", "s1", has)


def test_a_handle_can_be_given_back_but_not_to_a_forgotten_session():
    handles, mint, _ = make()
    handle = handles.take(mint("write").id, "acme", "s1", "write")
    handles.give_back(handle)
    handles.take(handle.id, "acme", "s1", "write")
    handles.forget_session("s1")
    handles.give_back(handle)
    assert refusal(handles, handle, "write") == "not_found" and repr(handles) == "<Handles 0 in 0 sessions>"


def test_a_session_keeps_its_latest_handles_and_no_more():
    handles, mint, _ = make(max_per_session=3)
    minted = [mint() for _ in range(4)]
    assert refusal(handles, minted[0]) == "not_found"
    for handle in minted[1:]:
        handles.look(handle.id, "acme", "s1", "read")
    mint(session_id="s2")
    handles.look(minted[1].id, "acme", "s1", "read")


def test_forgetting_a_session_forgets_only_its_own():
    handles, mint, _ = make()
    mine, other = mint(), mint(session_id="s2")
    handles.forget_session("s1")
    handles.forget_session("unknown")
    assert refusal(handles, mine) == "not_found"
    handles.look(other.id, "acme", "s2", "read")


@given(
    id_=st.text(max_size=40),
    organisation=st.sampled_from(["acme", "globex"]),
    session=st.sampled_from(["s1", "s2"]),
    direction=st.sampled_from(["read", "write"]),
)
def test_only_the_exact_binding_opens_a_handle(id_, organisation, session, direction):
    handles, mint, _ = make()
    handle = mint("write")
    for guess in (id_, handle.id):
        opens = (guess, organisation, session, direction) == (handle.id, "acme", "s1", "write")
        try:
            assert handles.look(guess, organisation, session, direction) is handle and opens
        except GatewayError:
            assert not opens
