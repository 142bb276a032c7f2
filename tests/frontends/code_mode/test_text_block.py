"""The block a model reads."""

import re
import unicodedata
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from kernel_gateway.broker import CallRecord
from kernel_gateway.frontends.answers import bounded
from kernel_gateway.frontends.shares import shares
from kernel_gateway.frontends.text import CUT, clip, execute_text, line, search_text, visible
from kernel_gateway.sessions.result import CellError, ExecuteResult

HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from("\x1b[]m0;\x07\r\n\x9b\u202e\u200b\U000e0041\ud800")))
RESULT = ExecuteResult("ok", "s1", 3, duration_ms=120.4)


def test_the_block_begins_with_session_cell_status_and_time_and_ends_with_the_calls():
    result = replace(
        RESULT, stdout="hello\n", stderr="careful", result="(1, 2)",
        calls=(CallRecord("image_ops:jobs_create", "ok", 12.2, False), CallRecord("image_ops:jobs_get", "ok", 5, True)),
    )  # fmt: skip
    assert execute_text(result, 24_000) == (
        "session s1 · cell 3 · ok · 120 ms\n"
        "\nstdout:\nhello\n"
        "\nstderr:\ncareful\n"
        "\nresult:\n(1, 2)\n"
        "\ncalls: image_ops:jobs_create ok 12 ms; image_ops:jobs_get ok 5 ms (replayed)"
    )


def test_an_error_is_shown_by_its_traceback_without_colours():
    error = CellError("ValueError", "no", "\x1b[0;31mTraceback\x1b[0m\nValueError: no")
    text = execute_text(replace(RESULT, status="error", error=error), 24_000)
    assert text.endswith("error:\nTraceback\nValueError: no")


def test_an_error_without_a_traceback_is_shown_by_name_and_value():
    text = execute_text(replace(RESULT, status="error", error=CellError("KeyError", "'x'", "")), 24_000)
    assert text.endswith("error:\nKeyError: 'x'")


def test_a_silent_cell_is_one_line():
    assert execute_text(RESULT, 24_000) == "session s1 · cell 3 · ok · 120 ms"


def test_a_cell_that_ran_out_of_time_tells_the_next_step():
    stopped = replace(RESULT, status="timeout", duration_ms=60_020.0)
    text = execute_text(stopped, 24_000)
    assert text.endswith("stopped after 60 s; variables are kept; ask for up to 600 s with timeout_seconds")
    text = execute_text(replace(stopped, lost=("all variables of cell 1",)), 24_000)
    assert "stopped after 60 s; its kernel was replaced; ask for up to 600 s with timeout_seconds" in text
    assert "variables are kept" not in text
    assert "lost: all variables of cell 1" in text
    assert "stopped after" not in execute_text(replace(stopped, status="interrupted"), 24_000)


def test_long_output_keeps_head_and_tail_around_a_marker_and_never_starves_the_error():
    error = CellError("E", "e", "Traceback\n" + "frame\n" * 100 + "E: the reason")
    result = replace(RESULT, status="error", stdout="first\n" + "x" * 100_000 + "\nlast", error=error)
    text = execute_text(result, 24_000)
    assert len(text) <= 24_000
    assert text.count(CUT.strip()) == 1
    assert "first\n" in text
    assert "\nlast\n" in text
    assert error.traceback in text


@given(HOSTILE, HOSTILE, HOSTILE, st.integers(200, 3_000))
@example("x" * 5_000, "\x00" * 5_000, "\u202e" * 5_000, 200)
def test_the_block_is_within_its_budget_whatever_a_cell_prints(stdout, result, traceback, limit):
    error = CellError("E" * 50, "e", traceback)
    text = execute_text(replace(RESULT, stdout=stdout, result=result, error=error), limit)
    assert len(text) <= limit
    assert_harmless(text)


@given(HOSTILE)
@example("\x1b]0;title\x07\x1b[31m\x9b1m\x1bP+q\x1b\\\x1b(B\x1b")
@example("admin\u202etxt.exe\u2066\u200b\ufeff")
@example("plain\U000e0041\U000e0042")
def test_nothing_unseen_or_reordering_passes(text):
    assert_harmless(visible(text))


def assert_harmless(text):
    for each in text:
        assert each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), hex(ord(each))
    text.encode("utf-8")


@given(
    st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), exclude_characters="\u3164\uffa0\u115f\u1160\u2800"))
)
@example("tabs\tand\nlines, é, 漢字, 👍 and ❤️")
def test_ordinary_text_passes_unchanged(text):
    assert visible(text) == text


def test_unseen_characters_are_shown_by_their_number():
    assert visible("a\u202eb\u200bc\x00d\U000e0041") == "a<U+202E>b<U+200B>c<U+0000>d<U+E0041>"


def test_escape_sequences_and_terminal_titles_are_removed_whole():
    assert (
        visible("\x1b[1;31mred\x1b[0m \x1b]0;owned\x07title \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\")
        == "red title link"
    )


def test_a_progress_bar_is_shown_as_a_terminal_would_leave_it():
    assert visible("10%\r50%\r100%\ndone\r\n") == "100%\ndone\n"


@given(st.text(max_size=300), st.integers(0, 400))
def test_clipping_keeps_both_ends(text, limit):
    clipped = clip(text, limit)
    assert len(clipped) <= max(limit, 0)
    if len(text) <= limit:
        assert clipped == text
    elif limit > len(CUT):
        head, _, tail = clipped.partition(CUT)
        assert text.startswith(head)
        assert text.endswith(tail)


@given(HOSTILE, st.integers(1, 50))
def test_a_line_is_one_line_within_its_limit(text, limit):
    assert len(line(text, limit)) <= limit
    assert "\n" not in line(text, limit)


@given(st.lists(st.integers(0, 10_000), max_size=8), st.integers(-5, 20_000))
def test_a_budget_is_never_exceeded_and_small_wants_come_first(wants, budget):
    granted = shares(wants, budget)
    assert sum(granted) <= max(0, budget)
    assert all(0 <= got <= want for got, want in zip(granted, wants, strict=True))
    if sum(wants) <= budget:
        assert granted == wants
    for got, want in zip(granted, wants, strict=True):
        assert got == want or got >= max(0, budget) // len(wants)


def test_the_structured_output_is_bounded_as_a_whole_and_says_so():
    result = replace(RESULT, stdout="a" * 100_000, stderr="warning", result="b" * 100_000)
    kept = bounded(result, 48_000)
    assert kept.truncated
    assert kept.stderr == "warning"
    assert len(kept.stdout) + len(kept.stderr) + len(kept.result) <= 48_000
    assert CUT in kept.stdout
    at_the_limit = replace(RESULT, stdout="a" * 48_000)
    assert bounded(at_the_limit, 48_000) == at_the_limit
    assert bounded(replace(RESULT, stdout="a" * 48_001), 48_000).truncated


@given(st.text(st.characters(), max_size=50))
def test_lone_surrogates_never_reach_json(text):
    kept = bounded(replace(RESULT, stdout=text, error=CellError(text, text, text), lost=(text,)), 48_000)
    for each in (kept.stdout, kept.error.ename, kept.error.evalue, kept.error.traceback, kept.lost[0]):
        each.encode("utf-8")


HIT = {
    "operation": "image_ops:cleanup_create", "method": "POST", "path": "/v1/cleanups",
    "summary": "Delete an upload, its jobs and their results, now instead of when their time is up, for good. " * 3,
    "effect": "delete", "scope": "image.cleanup", "score": 0.9,
    "inputs": ["upload_id", "job_id", "include_results", "idempotency_key"],
}  # fmt: skip


def test_ten_brief_hits_stay_under_eight_hundred_tokens():
    text = search_text({"hits": [HIT] * 10, "total": 1_000, "confidence": 0.9, "hint": "look again " * 10}, 24_000)
    assert len(text) <= 3_200
    assert len(re.findall(r"\w+|[^\w\s]", text)) <= 800  # words and signs, which no tokenizer splits much further
    assert text.count("image_ops:cleanup_create") == 10


def test_a_hit_shows_what_its_detail_asked_for():
    found = {"hits": [HIT | {"signature": "cleanup_create(*, upload_id: str) -> dict", "schema": {"type": "object"}}],
             "total": 5, "confidence": 0.9, "hint": ""}  # fmt: skip
    text = search_text(found, 24_000)
    assert "cleanup_create(*, upload_id: str) -> dict" in text
    assert '{"type": "object"}' in text
    assert "needs:" not in text


def test_no_hit_shows_the_hint():
    text = search_text({"hits": [], "total": 0, "confidence": 0.0, "hint": "nothing fits; name the thing"}, 24_000)
    assert text == "0 of 0 matching operations\nnothing fits; name the thing"
