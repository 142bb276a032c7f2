"""Keys that upstreams see: the same for the same, different for anything else."""

import string

from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.limits.idempotency import upstream_key

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
