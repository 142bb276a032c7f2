"""What the static review of a cell costs the event loop."""

import time

from catalog.reviewed import load_served
from kernel_gateway.policy.review import review
from tests.bench.measurement import Bar, Row, since
from tests.bench.rig import Rig

FLOW = """
upload = image_ops.uploads_init(filename="cat.png", content_type="image/png", size_bytes=len(data))
upload.upload_url.write(data)
job = image_ops.jobs_create(upload_id=upload.upload_id, operations=[{"op": "resize", "width": 200}])

def wait(job, tries=20):
    for _ in range(tries):
        job = image_ops.jobs_get(id=job.job_id, wait=5)
        if job.status in ("succeeded", "failed"):
            return job
    raise TimeoutError(job.job_id)

done = wait(job)
try:
    pictures = {result.name: result.url.read() for result in done.results}
except ToolError as error:
    print(error.code, error.message)
"""


async def reviewing(rig: Rig) -> list[Row]:
    catalog, _ = load_served()
    taken = []
    for _ in range(rig.rounds(500)):
        started = time.perf_counter()
        review(FLOW, catalog, {}, (), 50)
        taken.append(since(started))
    return [Row("static review of a cell", "ms", tuple(taken), bar=Bar(2.0, "value"), note="the whole image flow")]
