"""An issuer's keys: rotation, cool-down, outages, and what a key set may not contain."""

import asyncio
import json
import logging

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from kernel_gateway.auth.jwks import HttpFetch, KeySet, parse
from kernel_gateway.auth.settings import AuthSettings


@pytest.fixture
def auth():
    return AuthSettings(
        jwks_ttl_seconds=300,
        jwks_cooldown_seconds=30,
        jwks_retry_seconds=5,
        jwks_stale_seconds=3600,
        jwks_patience_seconds=60,  # no test depends on how fast this machine is
    )


@pytest.fixture
def fetch(auth):
    fetch = HttpFetch(auth)
    yield fetch
    fetch.close()


@pytest.fixture
def keys(issuer, auth, clock, fetch):
    return KeySet(issuer.jwks_url, fetch, auth, clock)


async def test_keys_are_fetched_once_and_kept_until_their_time_is_over(keys, issuer, clock):
    for kid in ("rsa", "ec", "ed"):
        assert await keys.get(kid) is not None
    assert issuer.fetches == 1
    clock.now += 299.9
    await keys.get("rsa")
    assert issuer.fetches == 1
    clock.now += 0.1
    await keys.get("rsa")
    assert issuer.fetches == 2


async def test_a_rotated_key_is_found_after_the_cool_down_and_no_sooner(keys, issuer, clock):
    await keys.get("rsa")
    issuer.add_key("next", "ES256")
    clock.now += 29.9
    assert await keys.get("next") is None
    assert issuer.fetches == 1
    clock.now += 0.1
    assert await keys.get("next") is not None
    assert issuer.fetches == 2


async def test_unknown_kids_cannot_drive_fetches(keys, issuer, clock):
    await keys.get("rsa")
    for number in range(50):
        assert await keys.get(f"made-up-{number}") is None
    assert issuer.fetches == 1


async def test_a_withdrawn_key_is_gone_when_its_time_is_over(keys, issuer, clock):
    assert await keys.get("rsa") is not None
    issuer.published = [entry for entry in issuer.published if entry["kid"] != "rsa"]
    clock.now += 300
    assert await keys.get("rsa") is None
    assert await keys.get("ec") is not None


async def test_many_callers_share_one_fetch_and_one_that_leaves_takes_nothing_away(auth, clock, issuer):
    started, release, calls = asyncio.Event(), asyncio.Event(), []

    async def slow(url):
        calls.append(url)
        started.set()
        await release.wait()
        return json.dumps({"keys": issuer.published}).encode()

    keys = KeySet("https://issuer.example/jwks", slow, auth, clock)
    waiting = [asyncio.create_task(keys.get("rsa")) for _ in range(10)]
    await started.wait()
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    release.set()
    assert all(key is not None for key in await asyncio.gather(*waiting[1:]))
    assert len(calls) == 1


async def test_old_keys_serve_through_an_outage_until_they_are_too_stale(keys, issuer, clock, caplog):
    fetched_at = clock.now
    await keys.get("rsa")
    issuer.status = 503
    clock.now = fetched_at + 300
    with caplog.at_level(logging.WARNING):
        assert await keys.get("rsa") is not None
    assert "cannot refresh" in caplog.text
    clock.now = fetched_at + 3599
    assert await keys.get("rsa") is not None
    clock.now = fetched_at + 3600
    assert await keys.get("rsa") is None
    issuer.status = 200
    clock.now += 5
    assert await keys.get("rsa") is not None


async def test_a_failed_fetch_is_not_repeated_before_the_retry_time(keys, issuer, clock):
    issuer.status = 500
    assert await keys.get("rsa") is None
    assert await keys.get("rsa") is None
    assert issuer.fetches == 1
    issuer.status = 200
    clock.now += 4.9
    assert await keys.get("rsa") is None
    clock.now += 0.1
    assert await keys.get("rsa") is not None


async def test_the_pause_after_a_failed_fetch_counts_from_its_end(auth, clock):
    fetches = []

    async def slow_refusal(url):
        fetches.append(url)
        clock.now += 5
        raise OSError

    keys = KeySet("https://issuer.example/jwks", slow_refusal, auth, clock)
    assert await keys.get("rsa") is None
    clock.now += 4.9
    assert await keys.get("rsa") is None
    assert len(fetches) == 1
    clock.now += 0.1
    assert await keys.get("rsa") is None
    assert len(fetches) == 2


async def test_an_issuer_that_hangs_keeps_nobody_waiting_whose_key_is_known(auth, clock, issuer):
    answers, hanging, calls = asyncio.Event(), asyncio.Event(), []

    async def fetch(url):
        calls.append(url)
        if len(calls) > 1:
            hanging.set()
            await answers.wait()
        return json.dumps({"keys": issuer.published}).encode()

    keys = KeySet("https://issuer.example/jwks", fetch, auth.model_copy(update={"jwks_patience_seconds": 0}), clock)
    await keys.get("rsa")
    clock.now += 300
    assert await keys.get("rsa") is not None
    keys._settings = auth  # from here on a caller who waited at all would wait for a minute
    assert all(await asyncio.wait_for(asyncio.gather(*(keys.get("rsa") for _ in range(5))), 30))
    stranger = asyncio.create_task(keys.get("next"))
    await hanging.wait()
    assert len(calls) == 2
    issuer.add_key("next", "ES256")
    answers.set()
    assert await stranger is not None
    assert len(calls) == 2


async def test_a_redirect_is_not_followed(keys, issuer):
    issuer.status, issuer.headers = 302, {"Location": issuer.url + "/elsewhere"}
    assert await keys.get("rsa") is None
    assert issuer.fetches == 1


async def test_a_key_set_over_the_cap_is_refused(issuer, clock):
    body = json.dumps({"keys": issuer.published}).encode()
    for spare, found in ((0, True), (1, False)):
        auth = AuthSettings(max_jwks_bytes=4096)
        issuer.body = body.ljust(4096 + spare)
        fetch = HttpFetch(auth)
        assert (await KeySet(issuer.jwks_url, fetch, auth, clock).get("rsa") is not None) is found
        fetch.close()


async def test_an_issuer_that_does_not_answer_is_given_up(clock):
    never = asyncio.Event()

    async def silent(url):
        await never.wait()

    keys = KeySet("https://issuer.example/jwks", silent, AuthSettings(jwks_timeout_seconds=0.01), clock)
    assert await keys.get("rsa") is None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"keys": 5}', b'{"keys": [1, null]}', b"[" * 100_000, b"\xff"]
)
async def test_what_is_no_key_set_leaves_the_old_keys(keys, issuer, clock, body):
    await keys.get("rsa")
    issuer.body = body
    clock.now += 300
    assert await keys.get("rsa") is not None
    assert issuer.fetches == 2


def usable(entry):
    try:
        return list(parse(json.dumps({"keys": [entry]}).encode()))
    except ValueError:
        return []


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "PS256"},
        {"alg": "HS256"},
        {"alg": 7},
        {"kid": ""},
        {"kid": None},
        {"kid": "k" * 257},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC"},
        {"kty": ["RSA"]},
        {"crv": 5},
        {"n": "AQAB"},
        {"n": "!!"},
        {"n": None},
    ],
)
async def test_a_key_we_would_not_verify_with_is_left_out(issuer, change):
    entry = issuer.published[0]
    assert usable(entry) == ["rsa"]
    assert usable(entry | change) == []


async def test_a_key_needs_no_alg_and_no_use(issuer):
    for entry in issuer.published:
        bare = {name: value for name, value in entry.items() if name not in {"alg", "use"}}
        assert usable(bare) == [entry["kid"]]


@pytest.mark.parametrize(("bits", "expected"), [(1024, []), (2048, ["weak"])])
def test_a_short_rsa_key_is_left_out(bits, expected):
    key = rsa.generate_private_key(65537, bits).public_key()
    assert usable({**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "weak"}) == expected


async def test_a_published_private_key_is_left_out(issuer):
    private = OKPAlgorithm.to_jwk(issuer.keys["ed"][1], as_dict=True)
    assert usable({**private, "kid": "ed"}) == []


async def test_only_the_first_keys_of_a_huge_set_count(issuer):
    first = {**issuer.published[2], "kid": "first"}
    many = [{**first, "kid": f"k{n}"} for n in range(200)]
    assert len(parse(json.dumps({"keys": many}).encode())) == 64
    twice = [first, {**issuer.published[1], "kid": "first"}]
    assert parse(json.dumps({"keys": twice}).encode())["first"].algorithm_name == "EdDSA"
