"""Rows as the bodies that the document describes. A body keeps its links unsigned until it is sent.

`{"$link": [object_id, op, expires_at]}` stands for a link, so what is stored for a replay holds no signature.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kernel_gateway.reference.image_ops.state import Job, Upload

_LINK = "$link"


def upload_body(upload: Upload, content_type: str, link_expires_at: int) -> dict[str, Any]:
    return {
        "upload_id": upload.id,
        "status": "pending",
        "method": "PUT",
        "upload_url": {_LINK: [upload.object_id, "put", link_expires_at]},
        "upload_url_expires_at": moment(link_expires_at),
        "headers": {"Content-Type": content_type},
        "expires_at": moment(upload.expires_at),
    }


def job_body(job: Job, link_expires_at: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "job_id": job.id,
        "upload_id": job.upload_id,
        "status": job.status,
        "progress": 1 if job.finished_at is not None else 0,  # steps are not reported one by one
        "created_at": moment(job.created_at),
        "started_at": None if job.started_at is None else moment(job.started_at),
        "finished_at": None if job.finished_at is None else moment(job.finished_at),
        "expires_at": moment(job.expires_at),
        "results": [],
    }
    if job.result is not None:
        described = {name: value for name, value in job.result.items() if name != "object_id"}
        url = {_LINK: [job.result["object_id"], "get", link_expires_at]}
        body["results"] = [{"url": url, "url_expires_at": moment(link_expires_at), **described}]
    if job.error is not None:
        body["error"] = job.error
    return body


def signed(body: Any, sign: Callable[[str, str, int], str]) -> Any:
    """The body with every link signed now."""
    if isinstance(body, dict):
        if body.keys() == {_LINK}:
            return sign(*body[_LINK])
        return {name: signed(value, sign) for name, value in body.items()}
    return [signed(value, sign) for value in body] if isinstance(body, list) else body


def moment(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
