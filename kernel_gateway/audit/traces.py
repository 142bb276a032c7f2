"""Traces over OTLP, where an endpoint is configured: what the MCP library says of each message, and our spans of cells.

The global provider is set once in a process. Nothing leaves unredacted: see span_export.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kernel_gateway.audit.events import Event
from kernel_gateway.audit.observation_settings import TraceSettings
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE = "kernel-gateway"


@asynccontextmanager
async def exporting(settings: TraceSettings, redactor: Redactor) -> AsyncIterator[Callable[[Event], None] | None]:
    """What the journal is to tell of each event; None where nothing is exported. What waits is sent at the end.

    Raises ConfigError where the packages are missing.
    """
    if not settings.endpoint:
        yield None
        return
    provider = _provider(settings, redactor)
    from opentelemetry.trace import set_tracer_provider

    from kernel_gateway.audit.cell_spans import CellSpans

    set_tracer_provider(provider)
    try:
        yield CellSpans(provider.get_tracer(SERVICE)).record
    finally:
        await asyncio.to_thread(provider.shutdown)


def _provider(settings: TraceSettings, redactor: Redactor) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        from kernel_gateway.audit.span_export import RedactedExport
    except ImportError as error:
        message = f"`traces.endpoint` needs packages that are not here ({error.name}): install the extra `tracing`"
        raise ConfigError(message) from None
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    for value in headers.values():
        redactor.register(value)
    export = OTLPSpanExporter(endpoint=settings.endpoint, headers=headers, timeout=settings.timeout_seconds)
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
        resource=Resource.create({"service.name": SERVICE}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(RedactedExport(export, redactor)))
    return provider
