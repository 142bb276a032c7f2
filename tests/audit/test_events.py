import dataclasses
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_gateway.audit import events as module
from kernel_gateway.audit.bounds import INVALID, MAX_COUNT, MAX_OUTPUTS
from kernel_gateway.audit.checkpointed import Checkpointed
from kernel_gateway.audit.events import BlobMoved, CellRan, Event, OperationCalled, Refused, Searched, SessionOpened
from kernel_gateway.audit.lifecycle import SessionForked, SessionHibernated, SessionRestored

KINDS = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Event) and kind.kind]
KINDS += [Checkpointed, SessionForked, SessionHibernated, SessionRestored]
# what a hostile cell, caller or upstream may try to have written down
HOSTILE = st.one_of(
    st.text(max_size=5000),
    st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/=.:<>"), max_size=5000),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(max_size=100),
    st.sampled_from(["<invalid>", "<unknown>", "ok", "read", "image_ops:jobs_create", "ValueError", "a" * 64]),
)
OUTPUTS = st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE), max_size=100).map(tuple)
MAX_TEXT_CHARACTERS = 128
# the only characters any field of any event may hold
PLAIN = re.compile(r"[A-Za-z0-9_.:@/|+<>-]*", re.ASCII)


def any_event():
    def build(kind):
        fields = [field.name for field in dataclasses.fields(kind)]
        given_values = {name: OUTPUTS if name == "outputs" else HOSTILE for name in fields}
        return st.fixed_dictionaries({}, optional=given_values).map(lambda values: kind(**values))

    return st.sampled_from(KINDS).flatmap(build)


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from texts(inner)


@settings(deadline=None)
@given(any_event())
def test_no_field_of_any_event_can_hold_free_text(event):
    for field in dataclasses.fields(event):
        for text in texts(getattr(event, field.name)):
            assert PLAIN.fullmatch(text)
            assert len(text) <= MAX_TEXT_CHARACTERS


@settings(deadline=None)
@given(any_event())
def test_every_field_holds_a_value_of_its_own_type_and_size(event):
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if field.name == "at":
            assert value is None or (type(value) is float and 0 <= value < 1e12)
        elif field.name == "outputs":
            assert len(value) <= MAX_OUTPUTS
            assert all(tuple(map(type, each)) == (str, int, str, str) for each in value)
        else:
            assert type(value) is type(field.default)
            assert not isinstance(value, int | float) or 0 <= value <= MAX_COUNT


@settings(deadline=None)
@given(any_event())
def test_the_body_is_small_canonical_json(event):
    body = event.body()
    values = json.loads(body)
    assert body == json.dumps(values, sort_keys=True, separators=(",", ":"))
    assert body.isascii()
    assert len(body) < 6000
    assert not {"at", "organisation", "session_id"} & values.keys()


def test_every_kind_is_covered_and_named():
    assert {kind.kind for kind in KINDS} == {
        *("searched", "session_opened", "session_closed", "cell_ran", "operation_called", "blob_moved", "refused"),
        "effect_left",
        *("checkpointed", "session_forked", "session_hibernated", "session_restored"),
        *("session_delegated", "source_shown"),
        "switch_set",
        *("ledger_adopted", "ledger_pruned", "identity_erased"),
        *("policy_reloaded", "policy_refused", "approval_asked", "approval_ended"),
    }


@pytest.mark.parametrize(
    ("written", "recorded"),
    [
        ("ValueError", "ValueError"),
        ("_Private2", "_Private2"),
        ("E" * 64, "E" * 64),
        ("E" * 65, INVALID),
        ("Fehler\u00e4", INVALID),
        ("Error: secret text", INVALID),
        ("a.b", INVALID),
        ("", ""),
        (None, ""),
        (7, INVALID),
    ],
)
def test_the_name_of_an_error_is_an_identifier_of_at_most_64_characters(written, recorded):
    assert CellRan(ename=written).ename == recorded


@pytest.mark.parametrize(
    ("written", "recorded"),
    [
        ("image_ops:jobs_create", "image_ops:jobs_create"),
        ("<unknown>", "<unknown>"),
        ("image_ops:" + "j" * 64, "image_ops:" + "j" * 64),
        ("image_ops:" + "j" * 65, INVALID),
        ("no_server", INVALID),
        ("image_ops:jobs create", INVALID),
        ("https://example.com", INVALID),
    ],
)
def test_an_operation_is_an_operation_id(written, recorded):
    assert OperationCalled(operation=written).operation == recorded


def test_what_a_kernel_claims_to_have_displayed_is_a_known_media_type_or_other():
    claimed = (("image/png", 10, "a" * 64, ""), ("application/x-c2VjcmV0IGJ5dGVz", 5, "b" * 64, "c" * 32))
    assert CellRan(outputs=claimed).outputs == (("image/png", 10, "a" * 64, ""), ("other", 5, "b" * 64, "c" * 32))


def test_only_the_first_outputs_of_a_flood_are_recorded():
    flood = tuple(("text/plain", size, "", "") for size in range(MAX_OUTPUTS + 1))
    assert CellRan(outputs=flood).outputs == flood[:MAX_OUTPUTS]
    assert CellRan(outputs=flood[:MAX_OUTPUTS]).outputs == flood[:MAX_OUTPUTS]


@pytest.mark.parametrize(
    "identity",
    ["alice", "auth0|5f7c8ec7c33c6c004bbafe82", "user@example.com", "https://client.example/metadata.json", "a" * 128],
)
def test_the_usual_identities_are_recorded_as_they_are(identity):
    assert Searched(subject=identity).subject == identity


def test_other_identities_stay_distinguishable_without_being_written_out():
    first, again, other = (Searched(subject=name).subject for name in ("Alice A.", "Alice A.", "Bob B."))
    assert first == again != other
    assert re.fullmatch("sha256:[0-9a-f]{64}", first)
    assert Searched(client="a" * 129).client.startswith("sha256:")
    assert Searched(subject="https://a/?sig=b").subject.startswith("sha256:")


@pytest.mark.parametrize(
    ("given_value", "recorded"), [(-1, 0), (MAX_COUNT, MAX_COUNT), (MAX_COUNT + 1, MAX_COUNT), ("9", 0)]
)
def test_counts_stay_within_what_json_keeps_exact(given_value, recorded):
    assert BlobMoved(bytes=given_value).bytes == recorded


@pytest.mark.parametrize(("status", "recorded"), [(99, 0), (100, 100), (599, 599), (600, 0)])
def test_an_http_status_is_one(status, recorded):
    assert OperationCalled(http_status=status).http_status == recorded


def test_durations_are_kept_to_the_microsecond():
    assert CellRan(duration_ms=1.23456).duration_ms == 1.235
    assert CellRan(duration_ms=float("nan")).duration_ms == 0.0


def test_words_codes_and_rules_are_what_they_say():
    assert SessionOpened(reason="asked for by alice").reason == INVALID
    assert SessionOpened(reason="execute").reason == "execute"
    assert Refused(code="unauthenticated", rule="token-expired") == Refused(
        code="unauthenticated", rule="token-expired"
    )
    assert Refused(code="because").code == INVALID
    assert OperationCalled(effect="write", decision="allow").effect == "write"
    assert OperationCalled(decision="perhaps").decision == INVALID


@pytest.mark.parametrize(
    ("written", "recorded"),
    [("s_1", "s_1"), ("-url_safe", "-url_safe"), ("a" * 64, "a" * 64), ("a" * 65, INVALID), ("a b", INVALID)],
)
def test_an_id_is_at_most_64_url_safe_characters(written, recorded):
    assert CellRan(session_id=written, cell_id=written).session_id == recorded
