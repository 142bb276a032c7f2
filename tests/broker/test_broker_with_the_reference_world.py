"""The whole way out against the reference world: upload, job, result, cleanup; no link ever on the inner side."""

import io
import json
import secrets
import time
import warnings

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from kernel_ext.wire import Kind, Message
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Broker, Cell
from kernel_gateway.handles import Handles
from kernel_gateway.limits.effects import Effects
from kernel_gateway.limits.meter import Meter
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import MEMORY, LimitSettings
from kernel_gateway.policy.authorizer import baseline_authorizer
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.reference.world import ReferenceWorldWarning, World
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault
from kernel_gateway.upstreams.asker import signer
from kernel_gateway.upstreams.http import connect
from kernel_gateway.upstreams.settings import UpstreamSettings


class Inside:
    """The cell's side of the inner door; `seen` is every byte that crossed it."""

    def __init__(self, broker, cell):
        self.broker, self.cell, self.account = broker, cell, Account("s1", "acme")
        self.seen = b""

    async def _ask(self, kind, head, body=b""):
        reply = await self.broker.answer(Message(kind, 1, head, body), self.account, self.cell)
        self.seen += json.dumps(reply.head).encode()
        assert reply.kind is Kind.RESULT, reply.head
        return reply

    async def call(self, name, **arguments):
        reply = await self._ask(Kind.CALL, {"operation": f"image_ops:{name}", "arguments": arguments})
        return reply.head["value"]

    async def read(self, blob):
        return (await self._ask(Kind.READ, {"handle": blob["$blob"]["id"]})).body

    async def write(self, blob, data):
        return await self._ask(Kind.WRITE, {"handle": blob["$blob"]["id"]}, data)


class Ledger:
    """Keeps events in a list."""

    def __init__(self):
        self.events = []

    def record(self, event):
        self.events.append(event)


@pytest.fixture
async def world(tmp_path):
    key = Ed25519PrivateKey.generate()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        world = World(tmp_path / "world", asker_key=key.public_key())
    world.sign = signer(key, time.time)
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
async def inside(world, tmp_path):
    database = Database(tmp_path / "gateway.db")
    effects = Effects(database, Vault(database, Keys(tmp_path / "state")), time.time, 60.0)
    await effects.recover()
    redactor, ledger = Redactor(()), Ledger()
    scopes = tuple(operation.scope for operation in world.catalog.operations)
    settings = UpstreamSettings(
        base_url=world.image_ops_url,
        storage_hosts=(world.storage_host,),
        token_url=world.token_url,
        client_id=world.client_id,
        client_secret=world.client_secret,
        scopes=scopes,
        allow_private_addresses=True,
    )
    upstream = connect("image_ops", settings, sign=world.sign, redactor=redactor, clock=time.time)
    handles = Handles(time.time, secrets.token_hex)
    limits = LimitSettings()
    broker = Broker(
        world.catalog,
        baseline_authorizer(world.catalog, 20, 100, PolicySettings(auto_approve_risk="critical")),
        {"image_ops": upstream},
        handles,
        ledger,
        redactor,
        limits,
        Meter(limits, Rates(limits.rates, MEMORY, time.time), None),
        secrets.token_bytes(32),
        time.time,
        effects=effects,
    )
    principal = Principal("https://i.test", "acme", "ada", "agent", "dev", frozenset(scopes), time.time() + 600)
    inside = Inside(broker, Cell(principal, "s1", 1, "cell-1"))
    inside.ledger = ledger
    yield inside
    await upstream.close()
    await database.close()


async def test_an_image_goes_through_without_a_link_on_the_inner_side(world, inside):
    picture = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(picture, "PNG")
    data = picture.getvalue()

    upload = await inside.call("uploads_init", content_type="image/png", size_bytes=len(data))
    blob = upload["upload_url"]["$blob"]
    assert (blob["direction"], blob["size"], blob["content_type"]) == ("write", len(data), "image/png")
    await inside.write(upload["upload_url"], data)

    operations = [{"op": "resize", "width": 64, "height": 64, "fit": "inside"}, {"op": "convert", "format": "webp"}]
    job = await inside.call("jobs_create", upload_id=upload["upload_id"], operations=operations)
    while job["status"] not in ("succeeded", "failed"):
        job = await inside.call("jobs_get", id=job["job_id"], wait=10)
    (result,) = job["results"]
    assert result["url"]["$blob"]["direction"] == "read" and result["url"]["$blob"]["size"] == result["size_bytes"]
    image = Image.open(io.BytesIO(await inside.read(result["url"])))
    assert (image.format, image.size) == ("WEBP", (64, 64))

    ids = [upload["upload_id"], job["job_id"]]
    first = await inside.call("cleanup_create", ids=ids, idempotency_key="once")
    assert await inside.call("cleanup_create", ids=ids, idempotency_key="once") == first
    assert [record.replayed for record in inside.cell.records][-2:] == [False, True]
    assert (await inside.call("quota_get"))["org"] == "acme"

    for secret in (world.storage_host, "sig=", world.client_secret, "Bearer"):
        assert secret.encode() not in inside.seen and secret not in repr(inside.ledger.events)
    assert {call.organisation for call in world.calls()} == {"acme"}


async def test_bytes_of_another_format_than_declared_are_the_callers_mistake_and_named(inside):
    picture = io.BytesIO()
    Image.linear_gradient("L").save(picture, "PNG")
    data = picture.getvalue()
    upload = await inside.call("uploads_init", content_type="image/jpeg", size_bytes=len(data))
    head = {"handle": upload["upload_url"]["$blob"]["id"]}
    reply = await inside.broker.answer(Message(Kind.WRITE, 1, head, data), inside.account, inside.cell)
    assert reply.kind is Kind.ERROR and reply.head["code"] == "invalid"
    assert "The bytes are not of the declared content type" in reply.head["message"]
