"""The whole way in: a real token from a real issuer over real HTTP, for REST and MCP alike."""

import httpx2
import pytest

from kernel_gateway.auth.jwks import HttpFetch
from kernel_gateway.auth.settings import AuthSettings
from kernel_gateway.auth.verifier import Verifier
from kernel_gateway.frontends.http import application
from kernel_gateway.frontends.listener import bind, listen
from kernel_gateway.frontends.settings import ServerSettings

PATHS = ["/mcp", "/v1/sessions"]


class EmptyGateway:
    async def sessions(self, principal):
        return [{"owner": list(principal.identity)}]

    def ready(self):
        return True, []


async def mcp(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["user"].access_token.client_id.encode()})


@pytest.fixture
async def http(issuer, clock):
    auth = AuthSettings.model_validate({"issuers": [{"issuer": issuer.url, "jwks_url": issuer.jwks_url}]})
    fetch, bound = HttpFetch(auth), bind("127.0.0.1", 0)
    app = application(EmptyGateway(), None, Verifier(auth, fetch, clock), mcp, ServerSettings(), clock=clock)
    server = listen(app, ServerSettings(), bound)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{bound.port}", trust_env=False, timeout=10) as client:
        yield client
    server.stop()
    await server.close_all_connections()
    fetch.close()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def test_a_good_token_opens_both_doors(http, issuer):
    for kid in issuer.keys:
        answer = await http.get("/v1/sessions", headers=bearer(issuer.mint(kid)))
        assert answer.json() == {"sessions": [{"owner": [issuer.url, "acme", "alice", "agent"]}]}
        assert (await http.get("/mcp", headers=bearer(issuer.mint(kid)))).text == "agent"


BAD = {
    "expired": {"exp": 1_799_999_000},
    "not yet valid": {"nbf": 1_800_000_100},
    "wrong audience": {"aud": "urn:other"},
    "wrong issuer": {"iss": "https://evil.example"},
    "no subject": {"sub": None},
    "no expiry": {"exp": None},
    "no organisation": {"org": None},
    "wrong type": {"header": {"typ": "dpop+jwt"}},
    "unknown key": {"header": {"kid": "nobody"}},
    "key of another kind": {"header": {"kid": "ec"}},
    "oversized": {"padding": "x" * 8192},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
async def test_a_bad_token_opens_neither(http, issuer, path, change):
    token = issuer.mint(**change)
    answer = await http.get(path, headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    everything = answer.text + repr(answer.headers.multi_items())
    assert not any(part in everything for part in [*token.split("."), "alice", "acme"])


@pytest.mark.parametrize("path", PATHS)
async def test_a_token_anywhere_but_in_its_header_opens_neither(http, issuer, path):
    token = issuer.mint()
    assert (await http.get(path, headers={"Cookie": f"access_token={token}"})).status_code == 401
    assert (await http.get(f"{path}?access_token={token}")).status_code == 400
    assert (await http.get(path, headers={"Authorization": f"Basic {token}"})).status_code == 401


async def test_a_key_rotation_is_followed(http, issuer, clock):
    assert (await http.get("/mcp", headers=bearer(issuer.mint()))).status_code == 200
    issuer.add_key("new", "EdDSA")
    clock.now += 31
    assert (await http.get("/mcp", headers=bearer(issuer.mint("new")))).status_code == 200


async def test_the_metadata_leads_to_the_issuer(http, issuer):
    challenge = (await http.get("/mcp")).headers["www-authenticate"]
    url = challenge.partition('resource_metadata="')[2].rstrip('"')
    assert (await http.get(url)).json()["authorization_servers"] == [issuer.url]
