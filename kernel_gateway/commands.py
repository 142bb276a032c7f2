"""What each command does, given the settings and its options. Prints for people; `--json` for programs."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from kernel_gateway import check as isolation
from kernel_gateway.app import App, running
from kernel_gateway.auth.loopback import is_loopback
from kernel_gateway.config import environment, load
from kernel_gateway.demo import User, client_configuration, flow
from kernel_gateway.embedded import embedded_world, world_folder
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.frontends.listener import bind, tls_context
from kernel_gateway.frontends.settings import ServerSettings
from kernel_gateway.garbage import leave_out_what_stays
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.launching import check_launcher, kernel_launcher
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.reference.issuer import Minter
from kernel_gateway.sandbox.probes import PROBES
from kernel_gateway.settings import Settings

Command = Callable[[Settings, argparse.Namespace], Awaitable[int]]

AGENT_SCOPES = ("kernel.search", "kernel.execute", "kernel.read", "kernel.delete")
DEMO_TOKEN_SECONDS = 8 * 3600.0  # a working day


async def serve(settings: Settings, options: argparse.Namespace) -> int:
    """Refuses to start where the sandbox does not hold, unless told to."""
    if not settings.auth.issuers:
        raise ConfigError(
            "nobody could log in: set [[auth.issuers]] with issuer and jwks_url, or try `kernel-gateway demo`"
        )
    tls_context(settings.server)  # refused now rather than after the attacks
    check_launcher(settings, unsafe=options.unsafe)
    if not options.unsafe:
        await _refuse_if_open(settings)
    async with running(settings, unsafe=options.unsafe, policy=_policy(options)) as app:
        bound = bind(settings.server.host, settings.server.port)
        async with app.serving(bound):
            leave_out_what_stays()
            _warn(app)
            print(where(settings.server, bound.port), flush=True)
            await _until_stopped()
    return 0


async def demo(settings: Settings, options: argparse.Namespace) -> int:
    """The flow, step by step; then the service stays up, unless `--once`."""
    tls_context(settings.server)  # refused now rather than after the world has started
    if not is_loopback(settings.server.host):
        raise ConfigError(
            "the demo believes tokens that anybody here can mint: it listens on loopback only; use `serve`"
        )
    settings = _at_the_level_there_is(settings)
    _require_layers(settings, unsafe=options.unsafe)
    async with AsyncExitStack() as stack:
        world, settings = await stack.enter_async_context(embedded_world(settings))
        app = await stack.enter_async_context(
            running(settings, embedded=True, unsafe=options.unsafe, policy=_policy(options))
        )
        bound = bind(settings.server.host, settings.server.port, search=settings.server.port_search)
        if bound.note:
            print(bound.note, file=sys.stderr)
        await stack.enter_async_context(app.serving(bound))
        leave_out_what_stays()
        _warn(app)
        scopes = (*AGENT_SCOPES, *(operation.scope for operation in world.catalog.operations))
        token = world.mint("demo-agent", " ".join(scopes), ttl_seconds=DEMO_TOKEN_SECONDS)
        url = _url(settings.server, bound.port)
        held = await _run_flow(url, token, as_json=options.json)
        if options.once or not held:
            return 0 if held else 1
        _invite(url, token, as_json=options.json)
        await _until_stopped()
    return 0


async def mcp(settings: Settings, options: argparse.Namespace) -> int:
    """stdout belongs to the protocol; everything for people goes to stderr."""
    _require_layers(settings, unsafe=options.unsafe)
    async with AsyncExitStack() as stack:
        embedded = not settings.upstreams
        if embedded:
            _, settings = await stack.enter_async_context(embedded_world(settings))
        app = await stack.enter_async_context(
            running(settings, embedded=embedded, unsafe=options.unsafe, policy=_policy(options))
        )
        leave_out_what_stays()
        _warn(app)
        await app.mcp_server(app.stdio_principal).run_stdio_async()
    return 0


async def check(settings: Settings, options: argparse.Namespace) -> int:
    """Exit 1 if a layer is absent that the launcher needs, or an attack gets through."""
    check_launcher(settings, unsafe=options.unsafe)
    holds = True
    for finding in isolation.host(settings.kernels.launcher):
        holds &= _show(finding, options.json)
    if holds:
        async with _kernels(settings, unsafe=options.unsafe) as start_kernel:
            async for finding in isolation.attacks(start_kernel, settings.kernels.launcher, PROBES):
                holds &= _show(finding, options.json)
    return 0 if holds else 1


async def token(settings: Settings, options: argparse.Namespace) -> int:
    """Mints for the world that last ran in the state folder."""
    try:
        minter = Minter.load(world_folder(settings))
        print(
            minter.mint(
                options.subject,
                options.scope,
                role=options.role,
                organisation=options.org,
                client=options.client,
                ttl_seconds=options.ttl,
            )
        )
    except FileNotFoundError:
        raise ConfigError(
            "no reference issuer has run in this state folder; start `kernel-gateway demo` first"
        ) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return 0


async def config(settings: Settings, options: argparse.Namespace) -> int:
    """As JSON; pydantic masks what is secret."""
    print(json.dumps(settings.model_dump(mode="json"), indent=2))
    return 0


async def _run_flow(url: str, token: str, *, as_json: bool) -> bool:
    held = True
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=120)

    async def close_session(session_id: str) -> None:
        (await http.delete(f"{url}/v1/sessions/{session_id}")).raise_for_status()

    user = User()
    transport = streamable_http_client(f"{url}/mcp", http_client=http)
    async with http, Client(transport, elicitation_callback=user.answer) as client:
        async for step in flow(client, user, close_session):
            print(step.json() if as_json else step.line(), flush=True)
            held &= step.held
    return held


def _invite(url: str, token: str, *, as_json: bool) -> None:
    """How to connect: for a program one object in one line, for a person what to paste."""
    configuration = client_configuration(url, str(Path(sys.argv[0]).absolute()))
    if as_json:
        print(json.dumps({"url": f"{url}/mcp", "token": token, "mcp_json": configuration}), flush=True)
        return
    print(f"\nThe service is up: {url}/mcp   (Ctrl-C stops it)\n")
    print("Paste this as .mcp.json:\n")
    print(json.dumps(configuration, indent=2))
    print(f"\nand give your client the token:\n\nexport KERNEL_GATEWAY_TOKEN={token}", flush=True)


@asynccontextmanager
async def _kernels(settings: Settings, *, unsafe: bool) -> AsyncIterator[Callable[[], Awaitable[Kernel]]]:
    """Starts kernels of the launcher that is set, outside of any service."""
    launcher = kernel_launcher(settings, unsafe=unsafe)
    try:
        yield lambda: Kernel.start(launcher, settings.kernels)
    finally:
        await launcher.close()


def _policy(options: argparse.Namespace) -> Callable[[], PolicySettings]:
    """Reads the section as it is written at the moment."""
    return lambda: Settings.of(load(options.config, environment(), {})).policy


async def _refuse_if_open(settings: Settings) -> None:
    async with _kernels(settings, unsafe=False) as start_kernel:
        finding = await isolation.self_check(start_kernel, settings.kernels.launcher)
    if finding is not None:
        text = f"will not serve: {finding.name}: {finding.detail}; see `kernel-gateway check`, or say --unsafe"
        raise GatewayError("sandbox", text)


def _at_the_level_there_is(settings: Settings) -> Settings:
    """The launcher that is set; without namespaces, where the host allows none, and then it is said.

    Only for the demo: a service has the isolation that it was configured with, or does not start.
    """
    missing = [each for each in isolation.host(settings.kernels.launcher) if not (each.holds or each.optional)]
    lesser = isolation.host("filtered")
    if not missing or not all(each.holds or each.optional for each in lesser):
        return settings
    print(f"running at the `filtered` level, without namespaces: {missing[0].detail}", file=sys.stderr)
    kernels = settings.kernels.model_copy(update={"launcher": "filtered"})
    return settings.model_copy(update={"kernels": kernels})


def _require_layers(settings: Settings, *, unsafe: bool) -> None:
    """Said before anything starts, and not by a kernel that does not."""
    check_launcher(settings, unsafe=unsafe)
    for finding in isolation.host(settings.kernels.launcher):
        if not (finding.holds or finding.optional or unsafe):
            raise GatewayError("sandbox", f"{finding.name}: {finding.detail}")


def _warn(app: App) -> None:
    """On stderr, what whoever starts the service should know."""
    if app.unsafe:
        print(f"{app.unsafe}; every answer says so, and /readyz fails", file=sys.stderr)
    if off := app.operators.refusal():
        print(f"{off}: `kernel-gateway switch execute on`", file=sys.stderr)
    for operation in app.unreviewed:
        print(
            f"not served: `{operation}` is not pinned in reviewed.toml; see `kernel-gateway catalog review --help`",
            file=sys.stderr,
        )


def _show(finding: isolation.Finding, as_json: bool) -> bool:
    print(json.dumps(finding.json()) if as_json else finding.line(), flush=True)
    return finding.holds or finding.optional


def where(server: ServerSettings, port: int) -> str:
    """The line that says where the service is."""
    proxied = ", for the proxy that terminates TLS" if server.behind_tls_proxy and not server.tls_certificate else ""
    return f"kernel-gateway on {_url(server, port)}/mcp{proxied}"


def _url(server: ServerSettings, port: int) -> str:
    scheme = "https" if server.tls_certificate else "http"
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{scheme}://{host}:{port}"


async def _until_stopped() -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stopped.set)
    await stopped.wait()
