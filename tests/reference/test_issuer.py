"""The stand-in authorization server over HTTP."""

import json
import stat
from pathlib import Path

import jwt
import pytest

from kernel_gateway.reference.issuer import MAX_TOKEN_SECONDS, Minter
from kernel_gateway.reference.keys import KID_PREFIX, SigningKeys


def form(client, **changes):
    values = {
        "grant_type": "client_credentials",
        "resource": client.world.image_ops_url,
        "scope": "image.upload image.jobs.read",
        "organisation": "acme",
    }
    return {name: value for name, value in (values | changes).items() if value}


async def ask(client, *, secret=None, **changes):
    credential = (client.world.client_id, secret or client.world.client_secret)
    return await client.http.post(client.world.token_url, data=form(client, **changes), auth=credential)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_minted_token_verifies_against_the_published_keys(start, clock, algorithm):
    client = await start()
    keys = (await client.http.get(client.world.jwks_url)).json()
    token = client.world.mint("ada", "kernel.execute", role="ops", organisation="beta", algorithm=algorithm)
    head = jwt.get_unverified_header(token)
    key = jwt.PyJWKSet.from_dict(keys)[head["kid"]]
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key, algorithms=[algorithm], audience="urn:kernel-gateway", options=options)
    assert (head["typ"], head["alg"]) == ("at+jwt", algorithm)
    assert claims["iss"] == client.world.issuer_url
    assert (claims["sub"], claims["scope"], claims["role"], claims["org"]) == ("ada", "kernel.execute", "ops", "beta")
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["client_id"] == "agent"


async def test_the_published_keys_hold_no_private_part_and_say_that_they_are_a_reference(start):
    client = await start()
    keys = (await client.http.get(client.world.jwks_url)).json()["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256", "EdDSA"}
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys() for key in keys)
    assert all(key["kid"].startswith(KID_PREFIX) for key in keys)


async def test_the_metadata_names_the_endpoints(start):
    client = await start()
    answer = await client.http.get(f"{client.world.issuer_url}/.well-known/oauth-authorization-server")
    document = answer.json()
    assert document["issuer"] == client.world.issuer_url
    assert document["token_endpoint"] == client.world.token_url
    assert document["jwks_uri"] == client.world.jwks_url
    assert document["grant_types_supported"] == ["client_credentials"]


async def test_the_client_gets_a_short_token_for_a_server_and_an_organisation(start):
    client = await start()
    answer = await ask(client, organisation="beta")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 300)
    assert answer.headers["Cache-Control"] == "no-store"
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["org"], claims["sub"]) == (client.world.image_ops_url, "beta", "kernel-gateway")
    used = await client.send("GET", "/api/jobs/job_unknown123", token=body["access_token"])
    assert used.status_code == 404


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"resource": "http://127.0.0.1:1"}, "invalid_target"),
        ({"resource": ""}, "invalid_target"),
        ({"scope": "image.upload kernel.admin"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"organisation": ""}, "invalid_request"),
        ({"organisation": "a b"}, "invalid_request"),
    ],
)
async def test_a_wrong_token_request_is_refused_with_its_oauth_code(start, changes, error):
    client = await start()
    answer = await ask(client, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_wrong_secret_gets_no_token(start):
    client = await start()
    answer = await ask(client, secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    for header in ("", "Basic", "Basic !!", "Bearer abc"):
        answer = await client.http.post(client.world.token_url, data=form(client), headers={"Authorization": header})
        assert answer.status_code == 401


async def test_another_process_mints_for_the_world_that_runs_in_the_folder(start, tmp_path, clock):
    client = await start()
    token = Minter.load(tmp_path / "world", clock).mint("ada", "image.quota.read", audience=client.world.image_ops_url)
    assert (await client.send("GET", "/api/quota", token=token)).status_code == 200


def test_nothing_can_be_minted_where_no_world_has_run(tmp_path):
    with pytest.raises(FileNotFoundError):
        Minter.load(tmp_path)


def test_keys_are_kept_and_only_their_owner_reads_them(tmp_path: Path):
    first, second = SigningKeys(tmp_path / "keys"), SigningKeys(tmp_path / "keys")
    assert first.jwks() == second.jwks()
    files = list((tmp_path / "keys").iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


@pytest.mark.parametrize("seconds", [0, -1, MAX_TOKEN_SECONDS + 1])
async def test_a_token_lives_between_a_second_and_a_month(start, seconds):
    client = await start()
    with pytest.raises(ValueError, match="a token lives"):
        client.world.mint("ada", "kernel.read", ttl_seconds=seconds)
    assert client.world.mint("ada", "kernel.read", ttl_seconds=MAX_TOKEN_SECONDS)


async def test_reprs_show_no_secret(start, tmp_path):
    client = await start()
    keys = SigningKeys(tmp_path / "world" / "keys")
    shown = f"{client.world!r} {keys!r} {keys.of('ES256')!r}"
    assert client.world.client_secret not in shown
    assert "PRIVATE" not in shown
    json.dumps(shown)
