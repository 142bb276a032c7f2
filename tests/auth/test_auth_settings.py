"""The `[auth]` section, the principal of stdio, and the principal of the moment."""

import asyncio

import pytest
from pydantic import ValidationError

from kernel_gateway.auth.current import acting_as, current_principal
from kernel_gateway.auth.loopback import is_loopback
from kernel_gateway.auth.settings import AuthSettings, StdioSettings
from kernel_gateway.auth.static import principal_from_settings
from kernel_gateway.errors import GatewayError


def issuers(*entries):
    return AuthSettings.model_validate({"issuers": [{"issuer": "https://as.example"} | entry for entry in entries]})


@pytest.mark.parametrize(
    "url", ["https://as.example/jwks", "http://127.0.0.1:9/jwks", "http://[::1]/j", "http://localhost/j"]
)
def test_keys_come_over_tls_or_loopback(url):
    issuers({"jwks_url": url})


@pytest.mark.parametrize(
    "url",
    ["http://as.example/jwks", "http://127.0.0.1.evil.example/j", "http://10.0.0.1/j", "ftp://as.example/j", "file:///etc/keys",
     "https://user:pass@as.example/j", "https://as.example/j#f", "https:///j", "", "http://[bad/j", "http://0.0.0.0/j"],
)  # fmt: skip
def test_keys_from_anywhere_else_are_refused(url):
    with pytest.raises(ValidationError):
        issuers({"jwks_url": url})


def test_an_issuer_is_named_once():
    with pytest.raises(ValidationError, match="same issuer"):
        issuers({"jwks_url": "https://as.example/1"}, {"jwks_url": "https://as.example/2"})


def test_of_several_issuers_each_speaks_for_its_own_organisation():
    one, two = {"jwks_url": "https://as.example/1"}, {"jwks_url": "https://b.example/2", "issuer": "https://b.example"}
    for organisations in (("", ""), ("acme", ""), ("", "globex")):
        with pytest.raises(ValidationError, match="each needs its `organisation`"):
            issuers(*({**each, "organisation": name} for each, name in zip((one, two), organisations, strict=True)))
    issuers({**one, "organisation": "acme"}, {**two, "organisation": "globex"})
    issuers(one)


@pytest.mark.parametrize("algorithm", ["HS256", "none", "PS256"])
def test_the_operator_cannot_allow_an_algorithm_that_is_not_asymmetric_and_known(algorithm):
    with pytest.raises(ValidationError):
        AuthSettings.model_validate({"algorithms": [algorithm]})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_loopback_names(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", "2130706433"]
)
def test_other_names(host):
    assert not is_loopback(host)


def test_on_stdio_the_configuration_says_who_asks():
    settings = StdioSettings(subject="ann", organisation="acme", client="desk", role="qa", scopes=("kernel.search",))
    principal = principal_from_settings(settings, 1000.0)
    assert principal.identity == ("urn:kernel-gateway:stdio", "acme", "ann", "desk")
    assert (principal.role, principal.scopes, principal.expires_at) == ("qa", {"kernel.search"}, 1000.0 + 86400)


def test_outside_a_request_nobody_is_asking():
    with pytest.raises(GatewayError) as caught:
        current_principal()
    assert caught.value.code == "unauthenticated"


async def test_concurrent_requests_do_not_see_each_others_principal():
    async def whoami(name, ready, go):
        with acting_as(principal_from_settings(StdioSettings(subject=name), 0.0)):
            ready.set()
            await go.wait()
            return current_principal().subject

    ready, go = [asyncio.Event() for _ in range(2)], asyncio.Event()
    tasks = [asyncio.create_task(whoami(name, event, go)) for name, event in zip("ab", ready, strict=True)]
    for event in ready:
        await event.wait()
    go.set()
    assert await asyncio.gather(*tasks) == ["a", "b"]
