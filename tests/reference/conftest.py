"""A running reference world per test, and a client that speaks to it as the gateway does."""

import io
import shutil
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from kernel_gateway.reference.keys import SigningKeys
from kernel_gateway.reference.world import ReferenceWorldWarning, World

SCOPES = "image.upload image.jobs.write image.jobs.read image.cleanup image.quota.read"
NOON = 1_800_000_000.0


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Client:
    """One organisation's view of a world."""

    def __init__(self, world: World, http: httpx2.AsyncClient, organisation: str) -> None:
        self.world, self.http, self.organisation = world, http, organisation

    def token(self, scope: str = SCOPES, **claims: Any) -> str:
        values = {"audience": self.world.image_ops_url, "organisation": self.organisation, **claims}
        return self.world.mint("kernel-gateway", scope, client="kernel-gateway", **values)

    async def send(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> httpx2.Response:
        head = {"Authorization": f"Bearer {token or self.token()}"}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, f"{self.world.image_ops_url}{path}", json=body, headers=head)

    async def upload(self, data: bytes, content_type: str = "image/png", **fields: Any) -> str:
        """An upload that has its bytes."""
        body = {"content_type": content_type, "size_bytes": len(data), **fields}
        answer = await self.send("POST", "/api/uploads/init", body)
        assert answer.status_code == 201, answer.text
        stored = await self.http.put(answer.json()["upload_url"], content=data, headers=answer.json()["headers"])
        assert stored.status_code == 204, stored.text
        return answer.json()["upload_id"]

    async def job(self, upload_id: str, *operations: dict[str, Any], **fields: Any) -> dict[str, Any]:
        body = {"upload_id": upload_id, "operations": list(operations) or [{"op": "strip_metadata"}], **fields}
        answer = await self.send("POST", "/api/jobs", body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def finished(self, job_id: str) -> dict[str, Any]:
        answer = await self.send("GET", f"/api/jobs/{job_id}?wait=20")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def cleanup(self, *ids: str, key: str = "key-1", **fields: Any) -> httpx2.Response:
        return await self.send("POST", "/api/cleanup", {"ids": list(ids), **fields}, Idempotency_Key=key)


Start = Callable[..., Awaitable[Client]]


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[World]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        world = World(folder, **options)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signing keys made once: an RSA key takes longer than most tests."""
    folder = tmp_path_factory.mktemp("keys")
    SigningKeys(folder)
    return folder


@pytest.fixture
async def start(tmp_path: Path, clock: Clock, keys_folder: Path) -> AsyncIterator[Start]:
    """Starts a world with the given options and gives a client of it."""
    shutil.copytree(keys_folder, tmp_path / "world" / "keys")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=30, trust_env=False, verify=False))

        async def begin(organisation: str = "acme", **options: Any) -> Client:
            world = await stack.enter_async_context(running(tmp_path / "world", **{"clock": clock, **options}))
            return Client(world, http, organisation)

        yield begin


@pytest.fixture
def png() -> bytes:
    return picture("png", (64, 48))


def picture(kind: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def large_png() -> bytes:
    """What takes seconds to encode as AVIF: long enough to be caught at work."""
    noise = Image.effect_noise((3000, 2500), 60).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


@pytest.fixture
def other(start: Start) -> Callable[[Client, str], Client]:
    """The same world for another organisation."""
    return lambda client, organisation: Client(client.world, client.http, organisation)
