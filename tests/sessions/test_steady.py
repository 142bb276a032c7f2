"""What two runs of a cell show alike, and what tells them apart."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_gateway.kernels.outputs import Outputs
from kernel_gateway.sessions.ended import _shown
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
    text = "12 ms " + " " * (MAX_CHARACTERS - 6)
    assert steady(text) == text.replace("12 ms", "<duration>")
    assert steady(text + " ") == text + " "


def test_what_one_cell_may_have_looked_through_is_bounded_for_all_its_outputs():
    def entries(*texts):
        outputs = Outputs(100_000, 4)
        for text in texts:
            outputs.take("execute_result", {"data": {"text/plain": text}})
        return _shown(outputs, lambda content: sha256(content).hexdigest())

    half, other = "12 ms" + " " * (MAX_CHARACTERS // 2 - 5), "13 ms" + " " * (MAX_CHARACTERS // 2 - 5)
    first, second = entries(half, half), entries(other, other)
    assert [each[3] for each in first] == [each[3] for each in second]
    first, second = entries(half, half, "12 ms"), entries(other, other, "13 ms")
    assert [a[3] == b[3] for a, b in zip(first, second, strict=True)] == [True, True, False]


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789abcdef-:._ TZxmsµjob\n"), max_size=200))
def test_what_is_steady_stays_as_it_is(text):
    assert steady(steady(text)) == steady(text)
