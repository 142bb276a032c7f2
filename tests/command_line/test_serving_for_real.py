"""A real service beside a reference world that runs elsewhere: its API may be used, its tokens are not believed."""

import warnings

import httpx2
import pytest

from kernel_gateway.app import running
from kernel_gateway.errors import ConfigError
from kernel_gateway.frontends.listener import bind
from kernel_gateway.reference.world import ReferenceWorldWarning, World


@pytest.fixture
async def world(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        made = World(tmp_path / "elsewhere")
    await made.start()
    yield made
    await made.stop()


async def test_a_service_refuses_the_keys_of_a_reference_issuer(gateway_settings, world, hold):
    issuer = {"issuer": world.issuer_url, "jwks_url": world.jwks_url}
    settings = gateway_settings(auth={"issuers": [issuer]})
    bound = bind("127.0.0.1", 0)
    app = await hold(running(settings))
    await hold(app.serving(bound))
    token = world.mint("somebody", "kernel.read")
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        answer = await http.get(f"http://127.0.0.1:{bound.port}/v1/sessions")
    assert answer.status_code == 401


async def test_a_service_that_cannot_begin_gives_its_port_back(gateway_settings, hold):
    app = await hold(running(gateway_settings(server={"host": "0.0.0.0"})))
    bound = bind("127.0.0.1", 0)
    with pytest.raises(ConfigError, match="is not loopback"):
        async with app.serving(bound):
            pass
    assert {each.fileno() for each in bound.sockets} == {-1}


async def test_building_a_reference_world_warns(tmp_path):
    with pytest.warns(ReferenceWorldWarning, match="never let it serve real users"):
        made = World(tmp_path / "world")
    await made.stop()


def test_a_reference_world_binds_to_loopback_only(tmp_path):
    with pytest.warns(ReferenceWorldWarning), pytest.raises(ValueError, match="loopback"):
        World(tmp_path / "world", host="0.0.0.0")
