"""The Image Ops flow as an agent would do it through MCP: search, upload, transform, look, clean up."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from mcp import Client
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, ImageContent

UPLOAD = """\
from pathlib import Path
import matplotlib
from PIL import Image

path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")  # a public-domain photograph
photo = path.read_bytes()
upload = image_ops.uploads_init(filename=path.name, content_type="image/jpeg", size_bytes=len(photo))
upload.upload_url.write(photo)
print(f"uploaded {len(photo)} bytes, {Image.open(path).size[0]}x{Image.open(path).size[1]} pixels")
"""

TRANSFORM = """\
job = image_ops.jobs_create(upload_id=upload.upload_id, operations=[
    {"op": "resize", "width": 256, "height": 256, "fit": "cover"},
    {"op": "watermark", "text": "demo", "position": "south_east"},
    {"op": "strip_metadata"},
    {"op": "convert", "format": "webp"},
])
while job.status in ("queued", "processing"):
    job = image_ops.jobs_get(id=job.job_id, wait=10)
print(job.status)
"""

LOOK = """\
import io
picture = Image.open(io.BytesIO(job.results[0].url.read()))
display(picture)
print(picture.size, picture.format)
"""

CLEAN_UP = """\
first = image_ops.cleanup_create(ids=[upload.upload_id, job.job_id], idempotency_key="demo-" + job.job_id)
again = image_ops.cleanup_create(ids=[upload.upload_id, job.job_id], idempotency_key="demo-" + job.job_id)
assert first == again
try:
    job.results[0].url.read()
except ToolError as error:
    print(len(first.deleted), "objects deleted; reading the result again:", error.code)
"""


WAITING = ("approval_required", "paused")


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it went. `said` is what a person wants to see of it."""

    name: str
    held: bool
    milliseconds: float
    said: str

    def line(self) -> str:
        return f"{'ok    ' if self.held else 'FAILED'} {self.name:<42} {self.milliseconds:8.0f} ms   {self.said}"

    def json(self) -> str:
        return json.dumps(asdict(self))


class User:
    """Stands for whoever sits before the client: says yes to every question, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})


async def flow(client: Client, user: User, close_session: Callable[[str], Awaitable[None]]) -> AsyncIterator[Step]:
    """The steps, each yielded when it is done; ends early where one did not hold. Its session is closed at the end."""
    started = time.perf_counter()
    found = await client.call_tool("search", {"query": "create an image job"})
    hits = _structured(found)["hits"]
    first = hits[0]["operation"] if hits else "nothing"
    step = Step("search for an operation", first == "image_ops:jobs_create", _since(started), first)
    yield step
    session = ""
    for name, code, expected in (
        ("upload a photograph through a Blob", UPLOAD, "uploaded"),
        ("create a job and poll it", TRANSFORM, "succeeded"),
        ("read the result and display it", LOOK, "(256, 256) WEBP"),
        ("clean up twice with one key", CLEAN_UP, "objects deleted"),
    ):
        if not step.held:
            break
        started = time.perf_counter()
        result = await client.call_tool("execute", {"code": code, "session_id": session})
        said = _structured(result)
        session = said.get("session_id", session)
        error = said.get("error", {})
        text = said.get("message") or ": ".join(error[key] for key in ("ename", "evalue") if key in error)
        text = text or said.get("stdout", "").strip() or said["status"]
        if said["status"] in WAITING:
            text = f"{said['status']}: the policy wants somebody's yes first, and nobody is here to give it"
        held = said["status"] == "ok" and expected in text
        if code is LOOK:
            held &= any(isinstance(block, ImageContent) for block in result.content)
        if code is CLEAN_UP:
            held &= [call["replayed"] for call in said.get("calls", ())][:2] == [False, True]
            yield Step("asked its user before it deletes", len(user.asked) == 3, 0.0, _questions(user.asked))
        step = Step(name, held, _since(started), text)
        yield step
    if session:
        await close_session(session)  # it would hold one of the caller's places until it expires


def _questions(asked: list[str]) -> str:
    """What was asked, by the first line of each question, and who said yes."""
    about = [question.partition("\n")[0].partition(" wants to ")[2].split(":")[0:2] for question in asked]
    return f"its user approved to {', to '.join(':'.join(each).removesuffix('.') for each in about)}"


def _structured(result: CallToolResult) -> dict[str, Any]:
    return result.structured_content or {"status": "invalid"}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def client_configuration(url: str, command: str) -> dict[str, Any]:
    """A `.mcp.json` to paste: the running service over HTTP, and the same on stdio with a world of its own.

    `command` is absolute: a client starts it from a folder of its own.
    """
    return {
        "mcpServers": {
            "kernel-gateway": {
                "type": "http",
                "url": f"{url}/mcp",
                "headers": {"Authorization": "Bearer ${KERNEL_GATEWAY_TOKEN}"},
            },
            "kernel-gateway-stdio": {"type": "stdio", "command": command, "args": ["mcp"]},
        }
    }
