"""Caps on what a cell shows: counted before parsing, cut in the middle, images recognised."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.kernels.outputs import Outputs, Text, without_ansi
from kernel_gateway.kernels.run import Pace

PIXEL = base64.b64encode(b"\x89PNG...").decode()


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(2, 60))
def test_text_keeps_head_and_tail_and_counts_what_it_dropped(pieces, room):
    text, whole = Text(room), "".join(pieces)
    for piece in pieces:
        text.write(piece)
    shown = text.read()
    half = room // 2
    if len(whole) <= 2 * half:
        assert shown == whole
    else:
        assert shown.startswith(whole[:half])
        assert shown.endswith(whole[-half:])
        assert f"{len(whole) - 2 * half} characters left out" in shown


@given(st.text(max_size=200))
def test_nothing_left_of_a_text_starts_an_escape_sequence_that_terminals_know(text):
    assert "\x1b[" not in without_ansi(without_ansi(text + "\x1b[31mred\x1b[0m")) or "\x1b[" in text


@given(
    st.sampled_from(["stream", "execute_result", "display_data", "error", "status", "comm_open", ""]),
    st.dictionaries(
        st.sampled_from(["text", "name", "data", "traceback", "ename", "evalue", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\ud800"),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
            max_leaves=8,
        ),
    ),
)
def test_whatever_a_kernel_sends_is_taken_or_dropped_and_never_raises(kind, content):
    outputs = Outputs(1000, 2)
    outputs.take(kind, content)
    assert isinstance(outputs.stdout + outputs.stderr + outputs.result, str)
    (outputs.stdout + outputs.stderr + outputs.result).encode()


@pytest.mark.parametrize(("count", "truncated"), [(2, False), (3, True)])
def test_no_more_images_are_kept_than_the_cap(count, truncated):
    outputs = Outputs(1000, 2)
    for _ in range(count):
        outputs.take("display_data", {"data": {"image/png": PIXEL, "text/plain": "<picture>"}})
    assert len(outputs.images) == 2
    assert outputs.is_truncated is truncated


@pytest.mark.parametrize(("length", "truncated"), [(1000, False), (1001, True)])
def test_results_are_cut_at_their_cap(length, truncated):
    outputs = Outputs(1000, 2)
    outputs.take("execute_result", {"data": {"text/plain": "x" * length}})
    assert len(outputs.result) == 1000
    assert outputs.is_truncated is truncated


def test_svg_html_and_javascript_are_never_images():
    outputs = Outputs(1000, 9)
    for mime in ("image/svg+xml", "text/html", "application/javascript"):
        outputs.take("display_data", {"data": {mime: "<script>", "text/plain": "plain"}})
    assert outputs.images == []
    assert outputs.result == "plain\nplain\nplain"


def test_a_second_holds_so_many_messages_and_no_more():
    pace = Pace(3)
    assert [pace.allows(10.0 + n / 10) for n in range(5)] == [True, True, True, False, False]
    assert pace.allows(11.0)
