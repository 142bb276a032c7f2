"""What two runs of a cell show alike, and what tells them apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_gateway.sessions.steady import MAX_CHARACTERS, steady


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("at 2026-11-21T10:11:12.345678Z", "at <time>"),
        ("2026-11-21 10:11:12+01:00 done", "<time> done"),
        ("10:11:12 up", "<time> up"),
        ("1763720000.123", "<time>"),
        ("<object at 0x7f3a5c0d1e20>", "<object at <address>>"),
        ("took 12.5 ms", "took <duration>"),
        ("1.2e-05 s", "<duration>"),
        ("job_0123456789abcdef is queued", "<id> is queued"),
        ("3fa85f64-5717-4562-b3fc-2c963f66afa6", "<id>"),
        ("5d41402abc4b2a76b9719d911017c592", "<id>"),
    ],
)
def test_what_changes_by_itself_is_replaced(text, same):
    assert steady(text) == same


@pytest.mark.parametrize(
    "text",
    ["42", "3.14159", "array([0, 1, 2])", "(256, 256) WEBP", "x_1 = 2", "5 files", "0xff", "12345678901234567890", "s"],
)
def test_what_a_cell_computed_stays(text):
    assert steady(text) == text


def test_longer_text_is_compared_as_it_stands():
    text = "12 ms " * (MAX_CHARACTERS // 6)
    assert "<duration>" in steady(text)
    assert steady(text + "12 ms and more") == text + "12 ms and more"


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789abcdef-:._ TZxmsµjob\n"), max_size=200))
def test_what_is_steady_stays_as_it_is(text):
    assert steady(steady(text)) == steady(text)
