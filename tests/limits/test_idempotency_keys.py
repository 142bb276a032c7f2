"""Keys that upstreams see: the same for the same, different for anything else."""

import string

from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.limits.idempotency import Ordinals, Origin, argument_digest, derived_key, upstream_key

SECRET = bytes(32)
text = st.text(max_size=12) | st.text('",[]:|\\ a', max_size=8)
parts = st.tuples(text, st.tuples(text, text, text, text), text, text)


@given(parts)
def test_the_same_inputs_give_the_same_key(inputs):
    key = upstream_key(SECRET, *inputs)
    assert key == upstream_key(SECRET, *inputs)
    assert len(key) == 64 and set(key) <= set(string.hexdigits)


@given(parts, parts)
def test_different_tenants_callers_operations_or_keys_never_share_one(one, other):
    assert (upstream_key(SECRET, *one) == upstream_key(SECRET, *other)) == (one == other)


@given(parts, st.binary(min_size=1, max_size=64))
def test_another_secret_gives_another_key(inputs, secret):
    assert upstream_key(secret, *inputs) != upstream_key(secret + b"x", *inputs)


def test_moving_a_character_between_the_parts_changes_the_key():
    assert upstream_key(SECRET, "ab", ("c",), "d", "e") != upstream_key(SECRET, "a", ("bc",), "d", "e")
    assert upstream_key(SECRET, "a", ("b", "c"), "d", "e") != upstream_key(SECRET, "a", ('b","c',), "d", "e")


origins = st.builds(Origin, text, st.integers(0, 9), text, text)
calls = st.tuples(origins, text, text, st.integers(1, 9))


@given(calls, calls)
def test_a_derived_key_differs_in_whatever_its_call_differs_in(one, other):
    assert (derived_key(SECRET, *one) == derived_key(SECRET, *other)) == (one == other)


@given(parts, calls)
def test_no_derived_key_is_an_upstream_key_or_a_digest_of_arguments(inputs, call):
    made = {derived_key(SECRET, *call), upstream_key(SECRET, *inputs), argument_digest(SECRET, call[1], {})}
    assert len(made) == 3


@given(st.dictionaries(text, text, min_size=2, max_size=4))
def test_the_order_in_which_arguments_were_written_does_not_matter_and_all_else_does(arguments):
    digest = argument_digest(SECRET, "a:b", arguments)
    assert digest == argument_digest(SECRET, "a:b", dict(reversed(arguments.items())))
    assert digest != argument_digest(SECRET, "a:c", arguments)
    assert digest != argument_digest(SECRET, "a:b", arguments | {next(iter(arguments)): None})
    assert digest != argument_digest(SECRET + b"x", "a:b", arguments)


@given(text, st.integers(0, 9), text, text)
def test_two_runs_of_one_request_have_one_origin_and_another_text_has_another(session, epoch, code, request):
    origin = Origin.of_request(session, epoch, code, request)
    assert origin == Origin.of_request(session, epoch, code, request)
    assert origin != Origin.of_request(session, epoch, code + " ", request)


def test_identical_calls_are_numbered_and_a_number_given_back_is_the_next():
    ordinals = Ordinals()
    assert [ordinals.take("a:b", "x") for _ in range(3)] == [1, 2, 3]
    ordinals.give_back("a:b", "x", 2)
    assert [ordinals.take("a:b", "x") for _ in range(2)] == [2, 4]
    assert ordinals.take("a:b", "y") == ordinals.take("a:c", "x") == 1
