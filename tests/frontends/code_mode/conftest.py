import importlib.util
import sys
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ERAS = ("legacy", "auto")  # "auto" discovers, and so speaks the newest revision


def _load(path):
    """The module beside this file; under importlib mode a test folder is no package."""
    name = f"code_mode_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def rehearsed():
    return _load(Path(__file__).with_name("rehearsed.py"))


@pytest.fixture
def gateway(rehearsed):
    return rehearsed.RehearsedGateway()


@pytest.fixture(params=ERAS)
def era(request):
    return request.param


@pytest.fixture
def in_memory(rehearsed, gateway, era):
    """The SDK's client in this process, in both protocol eras."""

    def connect(principal_of=lambda: rehearsed.ALICE, **settings):
        return Client(rehearsed.code_mode(gateway, principal_of, **settings), mode=era, cache=None)

    return connect


class OverHttp:
    """`async with` gives the SDK's client; `http` is its connection pool, which a test may cut."""

    def __init__(self, url, mode, token="alice-token"):
        self.http = httpx2.AsyncClient(trust_env=False, timeout=10, headers={"Authorization": f"Bearer {token}"})
        self.client = Client(streamable_http_client(url, http_client=self.http), mode=mode, cache=None)

    async def __aenter__(self):
        await self.http.__aenter__()
        return await self.client.__aenter__()

    async def __aexit__(self, *exc):
        await self.client.__aexit__(*exc)
        await self.http.__aexit__(*exc)


@pytest.fixture
def over_http():
    return OverHttp
