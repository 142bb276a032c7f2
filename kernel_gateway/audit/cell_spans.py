"""Spans of cells and of the operations they called, made from their events once the cell has ended.

A cell's event is recorded in the context of the request that ran it, so its span belongs to that request's trace.
"""

from collections import OrderedDict

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from kernel_gateway.audit.events import CellRan, Event, OperationCalled

MAX_CELLS = 1000  # whose calls are kept until they end: as many as sessions may be open
MAX_CALLS = 100  # of one cell; a trace with more is no picture any more


class CellSpans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._calls: OrderedDict[str, list[OperationCalled]] = OrderedDict()

    def record(self, event: Event) -> None:
        """What the journal calls with each event."""
        if isinstance(event, OperationCalled) and event.cell_id:
            calls = self._calls.setdefault(event.cell_id, [])
            if len(calls) < MAX_CALLS:
                calls.append(event)
            if len(self._calls) > MAX_CELLS:
                self._calls.popitem(last=False)
        elif isinstance(event, CellRan):
            self._cell(event, self._calls.pop(event.cell_id, []))

    def _cell(self, event: CellRan, calls: list[OperationCalled]) -> None:
        started, ended = _times(event)
        attributes: dict[str, AttributeValue] = {
            "kg.cell.number": event.cell,
            "kg.cell.status": event.status,
            "kg.cell.calls": event.calls,
        }
        span = self._tracer.start_span("cell", attributes=attributes, start_time=started)
        inside = set_span_in_context(span)
        for call in calls:
            began, done = _times(call)
            child = self._tracer.start_span(
                f"execute_tool {call.operation}",
                context=inside,
                kind=SpanKind.CLIENT,
                attributes={
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": call.operation,
                    "http.response.status_code": call.http_status,
                    "kg.effect": call.effect,
                    "kg.replayed": call.replayed,
                },
                start_time=began,
            )
            if call.status != "ok":
                child.set_attribute("error.type", call.status)
                child.set_status(Status(StatusCode.ERROR))
            child.end(done)
        if event.status != "ok":
            span.set_attribute("error.type", event.status)
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)


def _times(event: CellRan | OperationCalled) -> tuple[int, int]:
    """Both are written down at their end. In nanoseconds."""
    ended = round((event.at or 0.0) * 1e9)
    return ended - round(event.duration_ms * 1e6), ended
