"""The main job: an agent works a photograph through Image Ops, cell by cell, over HTTP and on stdio, in both eras."""

import base64
import io
from pathlib import Path

from mcp.types import ImageContent, TextContent
from PIL import Image

from kernel_gateway.reference.issuer import Minter
from tests.leaks import needle, needles_of_image, search

PHOTOGRAPH = Path(__file__).parents[2] / "build/kernel/site-packages/matplotlib/mpl-data/sample_data/grace_hopper.jpg"

UPLOAD = """
import matplotlib.cbook
photo = open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False), "rb").read()
upload = image_ops.uploads_init(content_type="image/jpeg", size_bytes=len(photo), filename="grace_hopper.jpg")
print(type(upload.upload_url).__name__, upload.upload_url.write(photo))
"""

TRANSFORM = """
job = image_ops.jobs_create(upload_id=upload.upload_id, operations=[
    {"op": "crop", "width": 400, "height": 400, "gravity": "north"},
    {"op": "resize", "width": 200, "height": 200},
    {"op": "strip_metadata"},
    {"op": "convert", "format": "webp"},
])
polls = 0
while job.status in ("queued", "processing"):
    job, polls = image_ops.jobs_get(id=job.job_id, wait=20), polls + 1
print(job.status)
"""

LOOK = """
import io
from PIL import Image
picture = Image.open(io.BytesIO(job.results[0].url.read()))
display(picture)
print(picture.size, picture.format)
"""

CLEAN_UP = """
first = image_ops.cleanup_create(ids=[upload.upload_id, job.job_id], idempotency_key="once")
second = image_ops.cleanup_create(ids=[upload.upload_id, job.job_id], idempotency_key="once")
print(first == second, sorted(first.deleted) == sorted([upload.upload_id, job.job_id]))
"""


async def test_an_agent_works_a_photograph_through_image_ops_cell_by_cell(agent):
    hits = (await agent.search("create an image job"))["hits"]
    assert hits[0]["operation"] == "image_ops:jobs_create"

    uploaded, _ = await agent.execute(UPLOAD)
    assert (uploaded["status"], uploaded["execution_count"]) == ("ok", 1), uploaded
    assert uploaded["stdout"] == f"Blob {PHOTOGRAPH.stat().st_size}\n"
    assert [call["operation"] for call in uploaded["calls"]] == ["image_ops:uploads_init"]

    transformed, _ = await agent.execute(TRANSFORM)
    assert (transformed["stdout"], transformed["execution_count"]) == ("succeeded\n", 2), transformed

    seen, content = await agent.execute(LOOK)
    assert seen["stdout"] == "(200, 200) WEBP\n"
    (picture,) = [block for block in content if isinstance(block, ImageContent)]
    assert picture.mime_type == "image/png"
    assert Image.open(io.BytesIO(base64.b64decode(picture.data))).size == (200, 200)
    assert any(isinstance(block, TextContent) and "(200, 200) WEBP" in block.text for block in content)

    cleaned, _ = await agent.execute(CLEAN_UP)
    assert cleaned["stdout"] == "True True\n"
    assert [call["replayed"] for call in cleaned["calls"]] == [False, True]
    gone, _ = await agent.execute("job.results[0].url.read()")
    assert (gone["status"], gone["error"]["ename"]) == ("error", "ToolError")


async def test_nothing_that_the_run_wrote_holds_the_image_a_signed_url_or_a_token(agent):
    """Searched in every form, in every file below the run's folder; first while the object store still holds it."""
    photograph = PHOTOGRAPH.read_bytes()
    await agent.search("create an image job")
    for code in (UPLOAD, TRANSFORM, LOOK):
        result, content = await agent.execute(code)
        assert result["status"] == "ok", result
    (shown,) = [base64.b64decode(block.data) for block in content if isinstance(block, ImageContent)]
    failed, _ = await agent.execute("raise ValueError(str(upload) + repr(photo[:1000]))")
    assert failed["status"] == "error"
    objects = agent.objects
    files = [path for path in objects.rglob("*") if path.is_file() and path.stat().st_size > 5000]
    assert photograph in [path.read_bytes() for path in files], "the object store holds the upload while it lives"
    needles = [each for data in (*(path.read_bytes() for path in files), shown) for each in needles_of_image(data)]
    needles += [needle("signed URL", f"/files/{path.name}?") for path in files]
    # Every token that one key signs begins with the same header.
    token = Minter.load(objects.parent).mint("somebody", "image.upload")
    needles += [needle("token", token.partition(".")[0])]
    needles += [needle("photo in a traceback", repr(photograph[:1000])[10:80])]

    during = search([agent.folder], needles)
    assert {leak.path.is_relative_to(objects) for leak in during} == {True}, [
        leak for leak in during if not leak.path.is_relative_to(objects)
    ]
    cleaned, _ = await agent.execute(CLEAN_UP)
    assert cleaned["status"] == "ok", cleaned
    assert search([agent.folder], needles) == []


async def test_a_cell_sees_no_url_no_token_and_no_secret(over_http):
    agent = await over_http()
    await agent.execute(UPLOAD)
    result, _ = await agent.execute(
        "import gc\n"
        "wanted = ['://' + '127.', 'eyJ' + 'hbGci', 'sig' + '=']\n"
        "dicts = [o for o in gc.get_objects() if isinstance(o, dict)]\n"
        "values = [v for o in dicts for v in list(o.values()) if isinstance(v, str)]\n"
        "[v for v in values if any(w in v for w in wanted)], len(values) > 1000"
    )
    assert result["result"] == "([], True)", result
