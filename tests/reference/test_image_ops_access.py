"""Who may call the image service: tokens, scopes, organisations, and the gateway's word on who asked."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel_gateway.reference.keys import SigningKeys

CALLS = [
    ("POST", "/api/uploads/init", "image.upload"),
    ("POST", "/api/jobs", "image.jobs.write"),
    ("GET", "/api/jobs/job_unknown123", "image.jobs.read"),
    ("POST", "/api/cleanup", "image.cleanup"),
    ("GET", "/api/quota", "image.quota.read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
async def test_every_operation_needs_its_own_scope(start, method, path, scope):
    client = await start()
    others = " ".join(other for _, _, other in CALLS if other != scope)
    refused = await client.send(method, path, {}, token=client.token(others))
    assert (refused.status_code, refused.json()["code"]) == (403, "denied")
    assert scope in refused.headers["WWW-Authenticate"]
    allowed = await client.send(method, path, {}, token=client.token(scope))
    assert allowed.status_code in (200, 400, 404)


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
async def test_every_operation_needs_a_token(start, method, path, scope):
    client = await start()
    answer = await client.http.request(method, f"{client.world.image_ops_url}{path}", json={})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "RateLimit-Policy" in answer.headers


async def test_a_token_ends_at_its_expiry(start, clock):
    client = await start()
    token = client.token(ttl_seconds=60)
    clock.now += 59
    assert (await client.send("GET", "/api/quota", token=token)).status_code == 200
    clock.now += 1
    answer = await client.send("GET", "/api/quota", token=token)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')


async def test_a_token_for_the_gateway_is_not_one_for_the_service(start):
    client = await start()
    assert (
        await client.send("GET", "/api/quota", token=client.token(audience="urn:kernel-gateway"))
    ).status_code == 401


async def test_forged_tokens_are_refused(start, tmp_path, clock):
    client = await start()
    strangers = SigningKeys(tmp_path / "strangers")
    claims = jwt.decode(client.token(), options={"verify_signature": False})
    known = jwt.get_unverified_header(client.token())["kid"]
    key = strangers.of("ES256").private
    good = client.token()
    forged = [
        jwt.encode(claims, key, algorithm="ES256", headers={"kid": known, "typ": "at+jwt"}),
        jwt.encode(claims, key, algorithm="ES256", headers={"kid": "unknown", "typ": "at+jwt"}),
        jwt.encode(claims, "s" * 32, algorithm="HS256", headers={"kid": known, "typ": "at+jwt"}),
        jwt.encode(claims, None, algorithm="none", headers={"kid": known, "typ": "at+jwt"}),
        good[:-8] + "AAAAAAAA",
        "a.b.c",
        "no-token",
    ]
    for token in forged:
        assert (await client.send("GET", "/api/quota", token=token)).status_code == 401, token


async def test_another_organisations_ids_are_not_found(start, other, png):
    client = await start()
    stranger = other(client, "beta")
    upload_id = await client.upload(png)
    job_id = (await client.job(upload_id))["job_id"]
    await client.finished(job_id)
    assert (await stranger.send("GET", f"/api/jobs/{job_id}")).status_code == 404
    body = {"upload_id": upload_id, "operations": [{"op": "strip_metadata"}]}
    assert (await stranger.send("POST", "/api/jobs", body)).status_code == 404
    cleaned = (await stranger.cleanup(upload_id, job_id)).json()
    assert (cleaned["deleted"], cleaned["not_found"]) == ([], [upload_id, job_id])
    assert (await client.finished(job_id))["status"] == "succeeded"


async def test_a_watermark_of_another_organisation_is_not_found(start, other, png):
    client = await start()
    mark = await other(client, "beta").upload(png)
    body = {"upload_id": await client.upload(png), "operations": [{"op": "watermark", "upload_id": mark}]}
    assert (await client.send("POST", "/api/jobs", body)).status_code == 404


def word(key, clock, **changes):
    claims = {"iss": "kernel-gateway", "aud": "image_ops", "iat": int(clock()), "exp": int(clock()) + 60}
    claims |= {"org": "acme", "sub": "ada", "client": "agent", "session": "s-1", "operation": "image_ops:quota_get"}
    return jwt.encode(claims | changes, key, algorithm="EdDSA")


async def test_the_gateways_signed_word_on_who_asked_is_recorded(start, clock):
    key = Ed25519PrivateKey.generate()
    client = await start(asker_key=key.public_key())
    assert (await client.send("GET", "/api/quota", X_Gateway_Asker=word(key, clock))).status_code == 200
    assert (await client.send("GET", "/api/quota")).status_code == 200
    signed, silent = client.world.calls()
    assert signed.asker == {"org": "acme", "sub": "ada", "client": "agent", "session": "s-1"}
    assert silent.asker is None
    assert (signed.operation, signed.organisation, signed.client, signed.status) == (
        "quota_get",
        "acme",
        "kernel-gateway",
        200,
    )


@pytest.mark.parametrize(
    "changes",
    [{"aud": "other"}, {"iss": "other"}, {"exp": 1}, {"org": "beta"}, {"operation": "image_ops:cleanup_create"}],
)
async def test_a_word_for_another_call_is_refused(start, clock, changes):
    key = Ed25519PrivateKey.generate()
    client = await start(asker_key=key.public_key())
    answer = await client.send("GET", "/api/quota", X_Gateway_Asker=word(key, clock, **changes))
    assert answer.status_code == 401


async def test_a_word_of_another_key_is_refused(start, clock):
    client = await start(asker_key=Ed25519PrivateKey.generate().public_key())
    strange = word(Ed25519PrivateKey.generate(), clock)
    assert (await client.send("GET", "/api/quota", X_Gateway_Asker=strange)).status_code == 401
