"""What belongs to a gateway that lives is left alone, and what a dead one left is taken over once."""

import itertools
import os

import pytest

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.lives import Lives


@pytest.fixture
def live(tmp_path):
    """Begins the lives of gateways on one folder, marked 00000001, 00000002 ..."""
    numbers, made = itertools.count(1), []

    def begin():
        made.append(Lives(tmp_path, lambda size: f"{next(numbers):0{2 * size}x}"))
        return made[-1]

    yield begin
    for each in made:
        each.close()


def die(lives):
    """As a process does: its locks go and its files stay."""
    for descriptor in lives._held.values():
        os.close(descriptor)
    lives._held.clear()


def of(lives):
    return f"ses_{lives.own}0123456789abcdef01234567"


def test_a_session_of_another_gateway_that_lives_is_elsewhere(live):
    ours, theirs = live(), live()
    assert ours.are_elsewhere(of(theirs)) and theirs.are_elsewhere(of(ours))
    assert not ours.are_elsewhere(of(ours))


@pytest.mark.parametrize("end", [die, Lives.close])
def test_a_session_of_a_gateway_that_ended_is_nobodys(live, end):
    ours, theirs = live(), live()
    end(theirs)
    assert not ours.are_elsewhere(of(theirs))
    assert not live().are_elsewhere(of(theirs))


@pytest.mark.parametrize("end", [die, Lives.close])
def test_what_was_taken_over_is_elsewhere_for_the_next(live, end):
    dead = live()
    end(dead)
    heir = live()
    heir.keep([of(dead)])
    assert live().are_elsewhere(of(dead)) and not heir.are_elsewhere(of(dead))


def test_of_the_dead_nothing_stays_but_what_was_taken_over(live, tmp_path):
    for _ in range(5):
        die(live())
    live().keep([])
    assert len(list((tmp_path / "lives").iterdir())) == 1


@pytest.mark.parametrize("session_id", ["", "s1", "ses_1", "ses_../../x", "ses_"])
def test_an_id_of_another_form_is_nobodys(live, session_id):
    assert not live().are_elsewhere(session_id)


def test_two_that_draw_the_same_mark_do_not_both_start(live, tmp_path):
    mark = live().own
    with pytest.raises(ConfigError, match="start again"):
        Lives(tmp_path, lambda size: mark)


def test_a_lock_whose_file_is_gone_is_no_lock(live, tmp_path, monkeypatch):
    ours, dead = live(), live()
    die(dead)
    real = os.open

    def meanwhile(path, *flags):
        descriptor = real(path, *flags)
        path.unlink()  # another gateway took it over and forgot it, between the opening and the lock
        return descriptor

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", meanwhile)
        assert not ours._take(dead.own)
    assert dead.own not in ours._held
