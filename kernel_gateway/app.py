"""Composition root: the only file that names concrete classes. Settings in, a running service out."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial

from kernel_gateway.administration import Administration
from kernel_gateway.approvals.queue import Queue
from kernel_gateway.approvals.shelf import Shelf
from kernel_gateway.audit import logs
from kernel_gateway.audit.digests import keyed_digest
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.metrics import Metrics
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.audit.refusals import Refusals
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.traces import exporting
from kernel_gateway.auth.current import current_principal
from kernel_gateway.auth.jwks import HttpFetch
from kernel_gateway.auth.principal import Principal
from kernel_gateway.auth.static import principal_from_settings
from kernel_gateway.auth.verifier import Verifier
from kernel_gateway.broker import Broker
from kernel_gateway.errors import GatewayError
from kernel_gateway.explaining import Explainer
from kernel_gateway.frontends.admin import administered
from kernel_gateway.frontends.asking import sealing
from kernel_gateway.frontends.code_mode import CodeMode
from kernel_gateway.frontends.endpoint import session_manager
from kernel_gateway.frontends.handler import Door
from kernel_gateway.frontends.http import application
from kernel_gateway.frontends.listener import Bound, http_server
from kernel_gateway.frontends.tasks import TaskLimits, Tasks
from kernel_gateway.gateway import Gateway
from kernel_gateway.gauges import measure
from kernel_gateway.handles import Handles
from kernel_gateway.issuers import without_reference_keys
from kernel_gateway.keeping import kept
from kernel_gateway.kernels.sockets import sweep
from kernel_gateway.launching import check_launcher, kernel_pool, unsafe_warning
from kernel_gateway.limits.effects import Effects
from kernel_gateway.limits.meter import meter
from kernel_gateway.limits.switch import Switch
from kernel_gateway.limits.switch_file import SwitchFile
from kernel_gateway.limits.switched import Switched
from kernel_gateway.permits import Permits
from kernel_gateway.policy.policies import Policies, Source
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.policy.together import Together
from kernel_gateway.policy.usable import Usable
from kernel_gateway.reloading import Reloader
from kernel_gateway.sandbox.images import present_digest
from kernel_gateway.served import Served, compiler_of
from kernel_gateway.sessions.manifests import manifests
from kernel_gateway.sessions.pausing import Pausing
from kernel_gateway.sessions.register import Register
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.sources import Sources
from kernel_gateway.sessions.trail import Trail
from kernel_gateway.settings import Settings
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.lives import Lives
from kernel_gateway.store.vault import Vault
from kernel_gateway.upstreams.asker import signer
from kernel_gateway.upstreams.http import connect
from notebooks.records import KeptRecords
from notebooks.replay import Replays


@dataclass(frozen=True, slots=True)
class App:
    """A running gateway. `unsafe` is what `--unsafe` makes of its kernels, in one line, or empty."""

    settings: Settings
    gateway: Gateway
    operators: Administration
    replays: Replays
    unsafe: str
    verifier: Verifier
    unreviewed: tuple[str, ...]
    metrics: Metrics
    _journal: Journal
    _state_key: bytes
    _clock: Callable[[], float]

    def mcp_server(self, principal_of: Callable[[], Principal] = current_principal) -> CodeMode:
        settings = self.settings
        tasks = Tasks(lambda: principal_of().identity, TaskLimits.of(settings.mcp, settings.sessions))
        return CodeMode(
            self.gateway,
            principal_of,
            settings.mcp,
            session_idle_seconds=settings.sessions.ttl_seconds,
            unsafe=self.unsafe,
            extensions=[tasks],
            state_security=sealing(self._state_key),
            clock=self._clock,
            answered=self.metrics.answered,
        )

    def stdio_principal(self) -> Principal:
        return principal_from_settings(self.settings.auth.stdio, self._clock())

    @asynccontextmanager
    async def serving(self, bound: Bound) -> AsyncIterator[None]:
        """HTTP and MCP on `bound`, which is closed when the context ends or cannot begin. Raises ConfigError."""
        with closing(bound):
            manager = session_manager(self.mcp_server(), self.settings.server)
            refusals = Refusals(self._journal.record)

            def refused(error: GatewayError, who: Principal | None) -> None:
                refusals.count(error, "http", who)

            routes = application(
                self.gateway,
                self.operators,
                self.verifier,
                manager.asgi_app,
                self.settings.server,
                admit=self.gateway.admit,
                refused=refused,
                metrics=self.metrics,
                metrics_settings=self.settings.metrics,
            )
            server = http_server(routes, self.settings.server)
            async with manager.run():
                server.add_sockets(bound.sockets)
                try:
                    yield
                finally:
                    server.stop()
                    await server.close_all_connections()


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    embedded: bool = False,
    unsafe: bool = False,
    policy: Callable[[], PolicySettings] | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[App]:
    """The gateway with its parts, until the context ends. Raises ConfigError.

    `embedded` says that the reference world is part of this process; without it, its keys are refused.
    `policy` reads the `[policy]` section as it is written now; without it only its files can change.
    `unsafe` is what only a person at the command line may say: it allows `none`, and every answer shows it.
    """
    served = Served.of(settings)
    sweep()
    warning = unsafe_warning(settings) if unsafe else ""
    check_launcher(settings, unsafe=unsafe)  # said now, not to the first caller
    async with AsyncExitStack() as stack:
        store = settings.store
        store.leave_old_place()
        keys = Keys(store.keys)
        stack.enter_context(keys.held())
        lives = Lives(store.folder)
        stack.callback(lives.close)
        database = Database(
            store.database,
            busy_timeout_seconds=store.busy_timeout_seconds,
            survives_power_loss=store.survives_power_loss,
        )
        stack.push_async_callback(database.close)
        journal = Journal(database, clock, Seal.of(keys), settings.audit)
        stack.push_async_callback(journal.close)
        await journal.open()
        redactor = Redactor((settings.metrics.token.get_secret_value(),))
        stack.enter_context(logs.knowing(redactor))
        if (traced := await stack.enter_async_context(exporting(settings.traces, redactor))) is not None:
            journal.subscribe(traced)
        sign = signer(keys.signing(), clock)
        upstreams = {}
        for name, section in settings.upstreams.items():
            upstreams[name] = connect(name, section, sign=sign, redactor=redactor, clock=clock)
            stack.push_async_callback(upstreams[name].close)
        reachable = served.catalog.only(lambda operation: operation.server in upstreams)
        metrics = Metrics(operation.id for operation in reachable.operations)
        journal.subscribe(metrics.record)
        switch = Switch(SwitchFile(store.folder), settings.switch.watch_seconds, clock)
        switch.start()
        stack.push_async_callback(switch.close)
        limits, grace = settings.limits, settings.switch.grace_seconds
        compiler = compiler_of(served, limits, keys.secret("canary"))
        policies = Policies(compiler, Source.read(settings.policy))

        def in_force() -> PolicySettings:
            return policies.source.settings

        hosts = {name: upstream.host for name, upstream in upstreams.items()}
        usable = Usable(reachable, served.roles, in_force, hosts)
        authorizer = Together(Switched(policies, switch), usable.roles)
        reloader = Reloader(policies, policy or (lambda: settings.policy), journal.record, clock)
        watching = asyncio.create_task(reloader.watch(), name="policy-reloader")
        stack.callback(watching.cancel)
        handles = Handles(
            clock,
            secrets.token_hex,
            ttl_seconds=limits.handle_ttl_seconds,
            max_per_session=limits.max_handles_per_session,
        )
        vault = Vault(database, keys)
        register = Register(vault, lives.are_elsewhere)
        effects = Effects(database, vault, clock, limits.effect_retention_seconds, lives.are_elsewhere)
        counted = meter(limits, database, clock, lambda kind: in_force().per_minute(kind))
        stack.push_async_callback(counted.close)
        secret = keys.secret("idempotency")
        broker = Broker(
            usable, authorizer, upstreams, handles, journal, redactor, limits, counted, secret, clock, effects=effects
        )
        await broker.recover(await register.ids())

        image = partial(present_digest, settings.sandbox.image)
        pool = kernel_pool(settings, image, unsafe=unsafe)
        pool.start()
        stack.push_async_callback(pool.close)

        digests = keys.secret("digests")

        def digest(organisation: str, content: bytes) -> str:
            return keyed_digest(digests, organisation, content)

        def new_id(kind: str) -> str:
            return f"{kind}_{lives.own}{secrets.token_hex(12)}"

        queue = Queue(
            Shelf(database, vault, lives.are_elsewhere), settings.approvals, journal.record, digest, clock, new_id
        )
        stack.push_async_callback(queue.close)
        switch.subscribe(queue.void_soon)
        sources = Sources(vault, redactor.redact, settings.sessions.source)
        durable = kept(settings, database, keys, vault, register, sources, journal, image, usable.catalog.digest)
        stack.push_async_callback(durable.checkpoints.close)
        services = Services(
            take_kernel=pool.take,
            manifest=manifests(usable),
            broker=broker,
            switch=switch,
            record=journal.record,
            flush=journal.flush,
            digest=digest,
            clock=clock,
            new_id=new_id,
            keep_source=sources.keep,
            pausing=Pausing(queue, settings.approvals, redactor.redact, digest),
            durable=durable,
        )
        max_calls, mac_key = limits.max_calls_per_cell, keys.secret("approvals")
        permits = Permits(
            usable, authorizer, queue, in_force, settings.approvals, max_calls, mac_key, clock, new_id, broker.foresee
        )
        gateway = Gateway(
            usable,
            authorizer,
            services,
            journal,
            settings.sessions,
            permits,
            queue,
            counted,
            sources,
            unsafe=warning,
            notices=lambda: reloader.notices() + queue.notices(),
        )
        await gateway.start()
        await sources.recover(lambda each: gateway.has(each) or lives.are_elsewhere(each))
        lives.keep(session.id for session in gateway.live())
        stack.push_async_callback(gateway.close)
        explainer = Explainer(served.catalog, served.roles, lambda: policies.current, hosts, switch)
        operators = Administration(
            gateway, reachable, explainer, reloader.notices, authorizer, switch, journal, clock, grace
        )
        stack.push_async_callback(operators.close)
        measure(metrics, gateway, pool, switch, queue, settings)
        fetch = HttpFetch(settings.auth)
        stack.callback(fetch.close)
        verifier = Verifier(settings.auth, fetch if embedded else without_reference_keys(fetch), clock)
        refusals = Refusals(journal.record)
        event_id, refused = partial(secrets.token_hex, 8), lambda error, who: refusals.count(error, "admin", who)
        door = Door(verifier, settings.server, clock, event_id, _at_any_rate, refused)
        stdio, records = settings.auth.stdio, KeptRecords(effects, vault, Trail(vault))
        replays = Replays(gateway, services, sources, journal, records, reachable, settings.sessions, stdio, secret)
        await stack.enter_async_context(
            administered(store.folder, door, operators, gateway, stdio.organisation, replays)
        )
        unreviewed, state_key = served.unreviewed, keys.secret("request-state")
        yield App(
            settings, gateway, operators, replays, warning, verifier, unreviewed, metrics, journal, state_key, clock
        )


async def _at_any_rate(_: Principal) -> None:
    """How often the operator may ask over the admin socket."""
