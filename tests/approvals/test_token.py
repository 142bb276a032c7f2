"""Approval tokens: what was agreed to, and each way in which something else is refused with its own code."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.approvals.token import Claims, Terms, difference, mint, read, verify
from kernel_gateway.errors import GatewayError

KEY = b"k" * 32
CLAIMS = Claims("apr_" + "0123456789abcdef" * 2, 1000.0, 1300.0)
TERMS = Terms(
    text="image_ops.quota_get()",
    session="ses_1",
    principal=("https://issuer.test", "acme", "ada", "agent"),
    scopes=("image.quota.read", "kernel.execute"),
    role="dev",
    state="0:3",
    catalog="c" * 64,
    policy="p" * 64,
    plan={"image_ops:quota_get": 1},
)
TOKEN = mint(KEY, CLAIMS, TERMS)
OTHER = {
    "text": ("image_ops.quota_get() ", "approval_changed"),
    "scopes": (("image.quota.read",), "approval_changed"),
    "role": ("ops", "approval_changed"),
    "plan": ({"image_ops:quota_get": 2}, "approval_changed"),
    "session": ("ses_2", "approval_session"),
    "principal": (("https://issuer.test", "acme", "eve", "agent"), "approval_session"),
    "catalog": ("d" * 64, "approval_catalog"),
    "policy": ("q" * 64, "approval_policy"),
    "state": ("0:4", "approval_state"),
}


def code_of(token, terms=TERMS, now=1299.9, key=KEY):
    with pytest.raises(GatewayError) as caught:
        verify(key, token, terms, now)
    assert "\n" not in caught.value.message
    return caught.value.code


def test_a_token_is_good_for_its_terms_until_it_expires():
    assert verify(KEY, TOKEN, TERMS, 1299.999) == CLAIMS
    assert read(TOKEN) == CLAIMS
    assert code_of(TOKEN, now=1300.0) == "approval_expired"


def test_every_part_of_the_terms_is_bound_and_named_when_it_differs():
    assert {each.name for each in dataclasses.fields(Terms)} == set(OTHER)
    for name, (value, code) in OTHER.items():
        changed = dataclasses.replace(TERMS, **{name: value})
        assert code_of(TOKEN, changed) == code
        assert difference(TERMS, changed) == code
    assert difference(TERMS, TERMS) == ""


@given(st.data())
def test_any_changed_byte_of_the_text_is_another_cell(data):
    text = TERMS.text.encode()
    place = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(1, 127).filter(lambda each: each != text[place]))
    changed = (text[:place] + bytes([byte]) + text[place + 1 :]).decode()
    assert code_of(TOKEN, dataclasses.replace(TERMS, text=changed)) == "approval_changed"


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABCDEFabcdef0123456789-_=+/ \n\u00e9"))
def test_a_changed_character_of_the_token_never_makes_a_good_one(place, character):
    forged = TOKEN[:place] + character + TOKEN[place + 1 :]
    if forged == TOKEN:
        return
    assert code_of(forged).startswith("approval_")


@pytest.mark.parametrize("token", ["", "kga_", "x", TOKEN + "A", TOKEN[:-1], TOKEN + "=", "kga_" + "A" * 126])
def test_what_is_no_token_is_invalid(token):
    assert code_of(token) == "approval_invalid"


def test_a_token_of_another_key_is_invalid():
    assert code_of(mint(b"x" * 32, CLAIMS, TERMS)) == "approval_invalid"


@pytest.mark.parametrize(
    "claims", [dataclasses.replace(CLAIMS, expires_at=9999.0), Claims("apr_" + "f" * 32, 1.0, 2e9)]
)
def test_its_id_and_times_cannot_be_moved_to_another(claims):
    longer = mint(b"x" * 32, claims, TERMS)
    head = len("kga_") + 42  # of the 32 bytes of id and times
    assert code_of(longer[:head] + TOKEN[head:]) == "approval_invalid"


def test_a_token_says_nothing_of_its_terms_and_is_short():
    assert len(TOKEN) == 130
    for name in ("text", "session", "role"):
        assert getattr(TERMS, name) not in TOKEN
