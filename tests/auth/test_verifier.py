"""The authentication matrix: what makes a bearer token good, and every way in which it is not."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel_gateway.auth.jwks import HttpFetch
from kernel_gateway.auth.settings import AuthSettings
from kernel_gateway.auth.verifier import Verifier
from kernel_gateway.errors import GatewayError


@pytest.fixture
def make(issuer, clock):
    """Verifiers that trust the issuer, with settings changed by keyword."""
    fetches = []

    def make(trust=None, **changes):
        values = {"issuers": [{"issuer": issuer.url, "jwks_url": issuer.jwks_url} | (trust or {})]} | changes
        auth = AuthSettings.model_validate(values)
        fetches.append(HttpFetch(auth))
        return Verifier(auth, fetches[-1], clock)

    yield make
    for fetch in fetches:
        fetch.close()


@pytest.fixture
def verifier(make):
    return make()


async def refusal(verifier, token):
    with pytest.raises(GatewayError) as caught:
        await verifier.verify(token)
    assert caught.value.code == "unauthenticated"
    assert "\n" not in caught.value.message
    for part in [token, "alice", "acme", *token.split(".")]:
        assert len(part) < 4 or part not in caught.value.message
    return caught.value.message


def segment(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
async def test_a_good_token_becomes_a_principal(verifier, issuer, clock, kid):
    principal = await verifier.verify(issuer.mint(kid))
    assert principal.identity == (issuer.url, "acme", "alice", "agent")
    assert principal.role == "dev"
    assert principal.scopes == {"kernel.search", "kernel.execute", "kernel.read"}
    assert principal.expires_at == clock.now + 605  # exp and the leeway


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
async def test_the_accepted_types_are_accepted(verifier, issuer, typ):
    await verifier.verify(issuer.mint(header={"typ": typ}))


@pytest.mark.parametrize("typ", ["dpop+jwt", "logout+jwt", "secevent+jwt", "", 7, ["JWT"]])
async def test_another_kind_of_token_is_refused(verifier, issuer, typ):
    _, body, signature = issuer.mint().split(".")
    header = {"alg": "RS256", "kid": "rsa", "typ": typ}
    assert "not an access token" in await refusal(verifier, f"{segment(header)}.{body}.{signature}")


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "HS256", "HS512", "PS256", "RS512", "ES384", "", None, 1, ["RS256"]]
)
async def test_an_algorithm_off_the_list_is_refused_before_any_key_is_fetched(verifier, issuer, alg):
    header = {"alg": alg, "kid": "rsa", "typ": "JWT"}
    for signature in ("", "AAAA"):
        await refusal(verifier, f"{segment(header)}.{segment(issuer.claims())}.{signature}")
    assert issuer.fetches == 0


async def test_an_hmac_made_with_the_public_key_is_refused(verifier, issuer):
    import hashlib
    import hmac

    public = issuer.keys["rsa"][1].public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{segment({'alg': 'HS256', 'kid': 'rsa', 'typ': 'JWT'})}.{segment(issuer.claims())}"
    signature = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
    await refusal(verifier, f"{signing_input}.{segment(signature)}")


async def test_a_key_only_verifies_its_own_algorithm(verifier, issuer):
    assert "not signed the way" in await refusal(verifier, issuer.mint("rsa", header={"kid": "ec"}))


async def test_an_algorithm_the_operator_left_out_is_refused(make, issuer):
    verifier = make(algorithms=["EdDSA"])
    await verifier.verify(issuer.mint("ed"))
    await refusal(verifier, issuer.mint("rsa"))


async def test_a_changed_payload_is_refused(verifier, issuer):
    head, _, signature = issuer.mint().split(".")
    forged = segment(issuer.claims(sub="mallory", scope="kernel.admin"))
    assert "signature" in await refusal(verifier, f"{head}.{forged}.{signature}")


async def test_a_key_of_another_issuer_with_the_same_kid_is_refused(verifier, issuer):
    token = issuer.mint()
    issuer.add_key("rsa", "RS256", publish=False)
    assert issuer.mint() != token
    assert "signature" in await refusal(verifier, issuer.mint())


async def test_a_key_sent_along_in_the_header_is_ignored(verifier, issuer):
    issuer.add_key("mine", "ES256")
    jwk = issuer.published.pop()
    assert "does not publish" in await refusal(verifier, issuer.mint("mine", header={"jwk": jwk, "jku": issuer.url}))


@pytest.mark.parametrize("kid", [None, "", 5, ["rsa"], "k" * 257])
async def test_a_token_without_a_usable_kid_is_refused(verifier, issuer, kid):
    header = {"alg": "RS256", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    await refusal(verifier, f"{segment(header)}.{segment(issuer.claims())}.AAAA")


async def test_an_unknown_critical_header_is_refused(verifier, issuer):
    await refusal(verifier, issuer.mint(header={"crit": ["exp"], "exp": 1}))


@pytest.mark.parametrize("claim", ["exp", "iat", "iss", "aud", "sub"])
async def test_each_required_claim_is_required(verifier, issuer, claim):
    await refusal(verifier, issuer.mint(**{claim: None}))


@pytest.mark.parametrize("claim", ["org", "client_id"])
@pytest.mark.parametrize("value", [None, "", 7, "line\nbreak", "x" * 257, ["acme"]])
async def test_who_is_asking_must_be_said_in_plain_words(verifier, issuer, claim, value):
    await refusal(verifier, issuer.mint(**{claim: value}))


@pytest.mark.parametrize(
    "aud", ["urn:other", ["urn:other", "urn:more"], "", [], {"urn:kernel-gateway": 1}, "urn:kernel-gateway/"]
)
async def test_a_token_for_another_audience_is_refused(verifier, issuer, aud):
    await refusal(verifier, issuer.mint(aud=aud))


async def test_one_of_several_audiences_is_enough(verifier, issuer):
    await verifier.verify(issuer.mint(aud=["urn:other", "urn:kernel-gateway"]))


async def test_an_issuer_may_have_its_own_audience(make, issuer):
    verifier = make({"audience": "https://kernels.example/mcp"})
    await verifier.verify(issuer.mint(aud="https://kernels.example/mcp"))
    await refusal(verifier, issuer.mint())


@pytest.mark.parametrize("iss", ["https://evil.example", "", 7, ["x"], {"a": 1}])
async def test_an_unknown_issuer_is_refused_without_a_fetch(verifier, issuer, iss):
    # written by hand: the encoder refuses an `iss` that is no string
    body = segment(issuer.claims(iss=iss))
    await refusal(verifier, f"{segment({'alg': 'RS256', 'kid': 'rsa', 'typ': 'JWT'})}.{body}.AAAA")
    assert issuer.fetches == 0


async def test_an_issuer_with_a_slash_more_is_another_issuer(verifier, issuer):
    await refusal(verifier, issuer.mint(iss=issuer.url + "/"))


async def test_expiry_holds_to_the_second_with_leeway(verifier, issuer, clock):
    token = issuer.mint(exp=int(clock.now))
    clock.now += 4.9
    await verifier.verify(token)
    clock.now += 0.1
    assert "expired" in await refusal(verifier, token)


async def test_a_cached_token_expires_all_the_same(make, issuer, clock):
    verifier = make(token_cache_seconds=3600)
    token = issuer.mint()
    await verifier.verify(token)
    clock.now += 604
    await verifier.verify(token)
    clock.now += 1
    assert "expired" in await refusal(verifier, token)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_from_the_future_is_refused_beyond_the_leeway(verifier, issuer, clock, claim):
    await verifier.verify(issuer.mint(**{claim: int(clock.now) + 5}))
    assert "not valid yet" in await refusal(verifier, issuer.mint(**{claim: int(clock.now) + 6}))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["1900000000", True, [1], {}, float("nan"), float("inf"), 10**400])
async def test_a_time_must_be_a_number(verifier, issuer, claim, value):
    await refusal(verifier, issuer.mint(**{claim: value}))


async def test_the_size_cap_holds_on_both_sides(make, issuer):
    token = issuer.mint()
    await make(max_token_bytes=len(token)).verify(token)
    assert "larger than" in await refusal(make(max_token_bytes=len(token) - 1), token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d",
        "not a token",
        "\x00",
        "é.é.é",
        "\ud800",
        "e30.e30.",
        "bnVsbA.bnVsbA.bnVsbA",
        "." * 8000,
    ],
)
async def test_a_malformed_token_is_refused(verifier, token):
    await refusal(verifier, token)


@pytest.mark.parametrize("value", [b"[" * 3000, b'{"a":' * 900, b"[1]", b"null", b"\xff", b"9" * 5000])
async def test_hostile_json_is_refused(verifier, issuer, value):
    head, body, signature = issuer.mint().split(".")
    await refusal(verifier, f"{segment(value)}.{body}.{signature}")
    await refusal(verifier, f"{head}.{segment(value)}.{signature}")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "b64", "x"]),
        st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text())),
    ),
    payload=st.one_of(
        st.binary(),
        st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.floats())).map(
            lambda d: json.dumps(d).encode()
        ),
    ),
    signature=st.binary(),
)
def test_whatever_comes_it_is_a_principal_or_a_refusal(header, payload, signature):
    import asyncio

    async def fetch(url):
        raise AssertionError("no issuer is trusted, so nothing is fetched")

    token = f"{segment(header)}.{segment(payload)}.{segment(signature)}"
    asyncio.run(refusal(Verifier(AuthSettings(), fetch, lambda: 0.0), token))


async def test_the_claims_are_called_what_the_operator_says(make, issuer):
    verifier = make(
        claims={"subject": "email", "organisation": "tenant", "client": "azp", "role": "https://x/role", "scope": "scp"}
    )
    token = issuer.mint(
        email="a@x", tenant="t1", azp="cli", scp=["kernel.read", "image.upload"], **{"https://x/role": "ml-engineer"}
    )
    principal = await verifier.verify(token)
    assert principal.identity[1:] == ("t1", "a@x", "cli")
    assert (principal.role, principal.scopes) == ("ml-engineer", {"kernel.read", "image.upload"})


async def test_an_operators_mapping_wins_over_the_role_claim(make, issuer):
    verifier = make({"subject_roles": {"alice": "admin"}, "client_roles": {"agent": "agent-role"}})
    assert (await verifier.verify(issuer.mint(role="dev"))).role == "admin"
    assert (await verifier.verify(issuer.mint(sub="bob", role="dev"))).role == "agent-role"
    assert (await verifier.verify(issuer.mint(sub="bob", client_id="other", role="qa"))).role == "qa"
    assert (await verifier.verify(issuer.mint(sub="bob", client_id="other"))).role == "dev"


async def test_an_issuer_pinned_to_an_organisation_speaks_for_no_other(make, issuer):
    verifier = make({"organisation": "acme"})
    assert (await verifier.verify(issuer.mint(org=None))).organisation == "acme"
    assert (await verifier.verify(issuer.mint())).organisation == "acme"
    await refusal(verifier, issuer.mint(org="umbrella"))


@pytest.mark.parametrize("scope", [7, {"a": 1}, ["ok", 7], [""], ["a"] * 257])
async def test_scopes_in_an_unknown_form_are_refused(verifier, issuer, scope):
    await refusal(verifier, issuer.mint(scope=scope))


async def test_no_scope_claim_is_no_scope(verifier, issuer):
    assert (await verifier.verify(issuer.mint(scope=None))).scopes == frozenset()


async def test_several_issuers_keep_apart(issuer, clock):
    """The second issuer publishes the same keys under another name, with an audience of its own."""
    auth = AuthSettings.model_validate(
        {
            "issuers": [
                {"issuer": issuer.url, "jwks_url": issuer.jwks_url, "organisation": "acme"},
                {
                    "issuer": "https://two.example",
                    "jwks_url": issuer.jwks_url + "?2",
                    "audience": "urn:two",
                    "organisation": "acme",
                },
            ]
        }
    )
    fetch = HttpFetch(auth)
    verifier = Verifier(auth, fetch, clock)
    one = await verifier.verify(issuer.mint())
    two = await verifier.verify(issuer.mint(iss="https://two.example", aud="urn:two"))
    assert one.identity != two.identity
    await refusal(verifier, issuer.mint(iss="https://two.example"))
    assert verifier.issuers == (issuer.url, "https://two.example")
    fetch.close()


async def test_a_verified_token_is_not_verified_again_until_the_cache_says_so(make, issuer, clock, monkeypatch):
    verifier = make(token_cache_seconds=60)
    decoded = []
    real = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda *a, **k: decoded.append(1) or real(*a, **k))
    token = issuer.mint()
    for _ in range(3):
        await verifier.verify(token)
    assert len(decoded) == 1
    clock.now += 60
    await verifier.verify(token)
    assert len(decoded) == 2


async def test_the_cache_is_bounded_and_never_holds_a_refusal(make, issuer):
    verifier = make(token_cache_size=2)
    for number in range(4):
        await verifier.verify(issuer.mint(sub=f"user{number}"))
    await refusal(verifier, issuer.mint(aud="urn:other"))
    assert repr(verifier) == "<Verifier 1 issuers, 2 verified tokens>"
