"""The last thing before a span leaves: every text in it is redacted and cut, texts of exceptions above all.

The MCP library writes an exception's text and stack into its span, and a tool's name as the caller spelt it.
"""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import Attributes, AttributeValue

from kernel_gateway.audit.redact import Redactor

MAX_CHARACTERS = 4096  # of one text: a stack fits, what a caller sent whole does not
READ_CHARACTERS = 2 * MAX_CHARACTERS  # that much is looked at: what a cut may leave of a secret is beyond the other cut


class RedactedExport(SpanExporter):
    """Hands spans on to `export` without their secrets."""

    def __init__(self, export: SpanExporter, redactor: Redactor) -> None:
        self._export, self._redactor = export, redactor

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._export.export([self._span(span) for span in spans])

    def shutdown(self) -> None:
        self._export.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._export.force_flush(timeout_millis)

    def _span(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=self._text(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[Event(self._text(e.name), self._attributes(e.attributes), e.timestamp) for e in span.events],
            links=[Link(link.context, self._attributes(link.attributes)) for link in span.links],
            kind=span.kind,
            status=Status(span.status.status_code, self._text(span.status.description or "") or None),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Attributes) -> Mapping[str, AttributeValue]:
        return {name: self._value(value) for name, value in (attributes or {}).items()}

    def _value(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Sequence):
            return [self._text(each) if isinstance(each, str) else each for each in value]
        return value

    def _text(self, text: str) -> str:
        return self._redactor.redact(text, READ_CHARACTERS)[:MAX_CHARACTERS]
