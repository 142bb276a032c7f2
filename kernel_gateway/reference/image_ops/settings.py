"""The numbers of the reference image service."""

from dataclasses import dataclass, field

from kernel_gateway.reference.pipeline import PipelineLimits


@dataclass(frozen=True, slots=True)
class ImageOpsSettings:
    """Every limit of the service, with the reason for its default."""

    workers: int = 2  # each is a process that decodes a photograph: the cores of a small machine
    max_body_bytes: int = 64 * 1024  # ten operations are under 4 KiB
    max_upload_bytes: int = 25 * 1024 * 1024  # the bound of the document, and what one job takes
    default_ttl_seconds: int = 3600  # temporary files: an hour of work
    link_seconds: int = 900  # a link is used at once; a leaked one dies soon
    tombstone_seconds: int = 3600  # a late poller still learns that its job has expired
    idempotency_seconds: int = 86400  # what Stripe keeps, and longer than any client retries
    sweep_interval_seconds: float = 30  # a file outlives its time by at most this
    requests_per_minute: int = 600  # a polling agent makes a few a second
    bytes_per_day: int = 5 * 1024 * 1024 * 1024  # a hundred of the largest files
    images_per_day: int = 1000  # a day's work of a team
    concurrent_jobs: int = 32  # queued and running ones, so one organisation cannot fill the queue
    pipeline: PipelineLimits = field(default_factory=PipelineLimits)
