"""Search, the client in a kernel and the broker agree on what a caller may use, whoever it is and whatever there is."""

import asyncio
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from kernel_ext.wire import Kind, Message
from kernel_gateway.approvals.queue import Queue
from kernel_gateway.approvals.settings import ApprovalSettings
from kernel_gateway.approvals.shelf import Shelf
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.auth.delegation import together
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Broker, Cell
from kernel_gateway.errors import GatewayError
from kernel_gateway.gateway import Gateway
from kernel_gateway.handles import Handles
from kernel_gateway.limits.meter import Meter
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import MEMORY, LimitSettings
from kernel_gateway.policy.authorizer import baseline_authorizer
from kernel_gateway.policy.offered import named
from kernel_gateway.policy.roles import Roles
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.policy.together import Together
from kernel_gateway.policy.usable import Usable
from kernel_gateway.sessions.manifests import manifests
from kernel_gateway.sessions.session import Services
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault

NOW = 1000.0
SERVERS, ROLES, SCOPES = ("alpha", "beta", "gamma"), ("dev", "ops", "ui"), ("one", "two", "three")
REFUSALS = {"not_found", "denied"}


def document(operations):
    """`operations`: (method, scope) by name. A "" is a scope that the document leaves open."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Anything", "version": "1"},
        "paths": {
            f"/{name}": {
                method: {
                    "operationId": name,
                    "summary": "thing to look for",
                    "x-effect": {"get": "read", "post": "write", "delete": "delete"}[method],
                    "security": [{"oauth": [scope]}] if scope else [],
                    "responses": {"200": {"description": "done"}},
                }
            }
            for name, (method, scope) in operations.items()
        },
    }


OPERATIONS = st.dictionaries(
    st.sampled_from(("thing_a", "thing_b", "thing_c")),
    st.tuples(st.sampled_from(("get", "post", "delete")), st.sampled_from((*SCOPES, ""))),
    max_size=3,
)
CATALOGS = st.dictionaries(st.sampled_from(SERVERS), OPERATIONS).map(
    lambda servers: Catalog.merge(Catalog.from_openapi(document(made), name) for name, made in servers.items())
)
TABLES = st.dictionaries(
    st.sampled_from(ROLES), st.lists(st.sampled_from((*SERVERS, "*", "absent")), max_size=3).map(tuple)
).map(lambda servers: Roles(servers=servers))
ALONE = st.builds(
    Principal,
    st.just("https://i.test"),
    st.just("acme"),
    st.sampled_from(("ada", "bob")),
    st.just("agent"),
    st.sampled_from((*ROLES, "unknown", "")),
    st.frozensets(st.sampled_from((*SCOPES, ""))).map(lambda scopes: scopes | {"kernel.search", "kernel.execute"}),
    st.just(NOW + 600),
)
CALLERS = st.one_of(ALONE, st.builds(together, ALONE, ALONE))


NAMES = tuple(f"{server}:{name}" for server in SERVERS for name in ("thing_a", "thing_b", "thing_c", "*"))
SETTINGS = st.builds(
    PolicySettings,
    auto_approve_risk=st.just("critical"),
    rollout=st.sampled_from(("open", "pilot-read", "controlled-write")),
    staging_hosts=st.lists(st.sampled_from(tuple(f"{server}.test" for server in SERVERS))).map(tuple),
    allow_mutations=st.booleans(),
    read_only_mode=st.booleans(),
    allowed_operations=st.lists(st.sampled_from(NAMES), max_size=3).map(tuple),
    blocked_operations=st.lists(st.sampled_from(NAMES), max_size=2).map(tuple),
)


def there(policy, catalog):
    """The settings, without names that no operation has: those are refused where they are read."""

    def some(patterns):
        return tuple(each for each in patterns if any(named(one.id, (each,)) for one in catalog.operations))

    named_ones = {key: some(getattr(policy, key)) for key in ("allowed_operations", "blocked_operations")}
    return policy.model_copy(update=named_ones)


class Elsewhere:
    """An upstream that is known by its host and cannot be reached."""

    def __init__(self, server):
        self.host = f"{server}.test"

    async def call(self, *_, **__):
        raise GatewayError("upstream_unavailable", "not connected")


@asynccontextmanager
async def both_doors(usable):
    """The outer door and the inner one, over the same answer. No kernel is started and no upstream connected."""
    limits = LimitSettings()
    authorizer = Together(baseline_authorizer(usable.catalog, 20, 100, usable._settings()), usable.roles)
    meter = Meter(limits, Rates(limits.rates, MEMORY, lambda: NOW), None)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "gateway.db")
        journal = Journal(database, lambda: NOW, Seal.of(Keys(Path(folder))), AuditSettings())
        await journal.open()
        broker = Broker(
            usable,
            authorizer,
            {server: Elsewhere(server) for server in SERVERS},
            Handles(lambda: NOW, lambda size: "0" * size),
            journal,
            Redactor(()),
            limits,
            meter,
            b"s" * 32,
            lambda: NOW,
        )
        services = Services(
            take_kernel=None,
            manifest=manifests(usable),
            broker=broker,
            switch=None,
            record=journal.record,
            flush=journal.flush,
            digest=None,
            clock=lambda: NOW,
            new_id=None,
            keep_source=None,
        )
        shelf = Shelf(database, Vault(database, Keys(Path(folder))))
        queue = Queue(shelf, ApprovalSettings(), journal.record, None, lambda: NOW, None)
        await queue.start()
        gateway = Gateway(usable, authorizer, services, journal, SessionSettings(), None, queue, meter, None)
        yield gateway, services, broker
        await journal.close()
        await database.close()


async def answers(usable, caller):
    """By each of the ways to ask: the ids of the operations that `caller` may use."""
    async with both_doors(usable) as (gateway, services, broker):
        found = await gateway.search(caller, "thing to look for", limit=50)
        servers = services.manifest(caller)["servers"]

        async def ask(kind, head):
            return await broker.answer(Message(kind, 1, head), Account("s1", "acme"), Cell(caller, "s1", 1, "cell-1"))

        inside = await ask(Kind.SEARCH, {"query": "thing to look for", "limit": 50})
        called = set()
        for operation in usable.catalog.operations:
            reply = await ask(Kind.CALL, {"operation": operation.id})
            # whoever gets past the decision learns that nothing is connected here, or can be written down
            is_refused = reply.head["code"] in REFUSALS or "read-only" in reply.head["message"]
            assert is_refused or reply.head["code"] in {"upstream_unavailable", "disabled"}
            if not is_refused:
                called.add(operation.id)
        return {
            "rule": {operation.id for operation in usable.catalog_for(caller).operations},
            "search": {hit["operation"] for hit in found["hits"]},
            "client": {entry["id"] for server in servers.values() for entry in server["operations"]},
            "search in a cell": {hit["name"] for hit in inside.head["value"]},
            "call": called,
        }, set(servers)


@settings(max_examples=40, deadline=None)
@given(CATALOGS, TABLES, CALLERS, SETTINGS)
def test_search_the_generated_client_and_the_broker_agree(catalog, roles, caller, policy):
    agree(catalog, roles, caller, policy)


FULL = Catalog.merge(
    Catalog.from_openapi(document({"thing_a": ("get", "one"), "thing_b": ("post", "two")}), name) for name in SERVERS
)
EVERYTHING = Principal(
    "https://i.test", "acme", "ada", "agent", "ops", frozenset((*SCOPES, "kernel.search", "kernel.execute")), NOW + 600
)


@settings(max_examples=40, deadline=None)
@given(SETTINGS)
def test_what_the_settings_close_is_met_nowhere_by_whoever_may_use_everything_else(policy):
    agree(FULL, Roles(servers={"ops": ("*",)}), EVERYTHING, policy)


def agree(catalog, roles, caller, policy):
    """Every way to ask says the same, and just what roles, scopes and settings leave."""
    policy = there(policy, catalog)
    usable = Usable(catalog, roles, lambda: policy, {server: f"{server}.test" for server in SERVERS})
    by_way, shown = asyncio.run(answers(usable, caller))
    everyone = [({*roles.servers.get(each.role, ())}, each.scopes) for each in caller.authorities]
    seen = [each for each in catalog.operations if all({each.server, "*"} & sees for sees, _ in everyone)]
    expected = {each.id for each in seen if each.scope and all(each.scope in scopes for _, scopes in everyone)}
    on_trial = policy.rollout == "pilot-read"
    if on_trial or policy.read_only_mode or not policy.allow_mutations:
        expected -= {each.id for each in seen if each.effect != "read"}
    if on_trial:
        expected -= {each.id for each in seen if f"{each.server}.test" not in policy.staging_hosts}
    if policy.allowed_operations:
        expected = {each for each in expected if named(each, policy.allowed_operations)}
    expected = {each for each in expected if not named(each, policy.blocked_operations)}
    assert by_way == dict.fromkeys(by_way, expected)
    assert shown == {each.server for each in seen}


@given(CATALOGS, TABLES, ALONE, ALONE)
def test_two_together_may_use_what_both_may_use(catalog, roles, who, owner):
    usable = Usable(catalog, roles)
    both, one, other = ({*map(id, usable.catalog_for(each).operations)} for each in (together(who, owner), who, owner))
    assert both == one & other


@given(CATALOGS)
def test_with_a_reading_scope_nothing_can_be_changed(catalog):
    usable = Usable(catalog, Roles(servers={"ops": ("*",)}))
    reader = Principal("i", "acme", "ada", "agent", "ops", usable.reading, NOW)
    assert all(operation.effect == "read" for operation in usable.catalog_for(reader).operations)
    assert "" not in usable.reading


def test_what_was_asked_for_before_is_not_made_again():
    usable = Usable(
        Catalog.from_openapi(document({"thing_a": ("get", "one")}), "alpha"), Roles(servers={"dev": ("*",)})
    )
    ada = Principal("i", "acme", "ada", "agent", "dev", frozenset({"one", "kernel.search"}), NOW)
    assert usable.catalog_for(ada) is usable.catalog_for(replace(ada, subject="bob", scopes=frozenset({"one"})))
