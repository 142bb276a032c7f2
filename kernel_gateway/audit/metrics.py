"""Counts what happens, for Prometheus. Events are counted as they are recorded; the rest is told by who measures it.

The law: every label comes from a fixed set, so that nobody outside can make series, and none says who it was.
Operations are those of the catalog; anything else is `_other`. Where OpenTelemetry has a convention for a name it is
that, translated (semantic-conventions-genai: `mcp.server.operation.duration`; `http.server.request.duration`).
"""

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from kernel_gateway.audit.bounds import STATUSES
from kernel_gateway.audit.events import BlobMoved, CellRan, Event, OperationCalled, Refused
from kernel_gateway.errors import CODES, Acts

OTHER = "_other"
# Seconds, as the convention for MCP has them: a cell may take minutes.
BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TOOLS = ("search", "execute")
METHODS = frozenset(
    {
        *("initialize", "ping", "server/discover", "tools/list", "tools/call", "prompts/list", "prompts/get"),
        *("resources/list", "resources/read", "resources/templates/list", "completion/complete", "logging/setLevel"),
        *("subscriptions/listen", "tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "tasks/update"),
        *("notifications/initialized", "notifications/cancelled", "notifications/progress"),
    }
)
TOOL_ERROR = "tool_error"  # the convention's word for a result that says `isError`
ERROR_TYPES = frozenset(
    {"", TOOL_ERROR, *(str(code) for code in (-32700, *range(-32603, -32599), *range(-32023, -31999)))}
)
ANSWERED = frozenset({"mcp", "stdio"})  # the front ends whose answers are counted, refusals among them
HTTP_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
# Whoever met one of these wanted what they may not have, or had too much of it, or what an operator had switched off.
BLOCKED = frozenset({"disabled", *(code for code, meaning in CODES.items() if meaning.http in {401, 403, 421, 429})})


def outcome_of(code: str) -> str:
    """Of a tool call: `ok`; `fault` where the table of codes wants the operator to act; `refused` for all else.

    A kernel that died is not a fault: cells can kill theirs at will. What is switched off, an operator wanted so.
    """
    if not code:
        return "ok"
    return "fault" if code not in CODES or (CODES[code].acts is Acts.OPERATOR and code != "disabled") else "refused"


class Metrics:
    """One registry; `operations` are the ids that may become labels."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, operations: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nothing reads
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._operations = frozenset(operations)
        self._mcp = Histogram(
            "mcp_server_operation_duration_seconds",
            "MCP requests and notifications, from receipt to answer.",
            ("mcp_method_name", "gen_ai_tool_name", "error_type"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._http = Histogram(
            "http_server_request_duration_seconds",
            "HTTP requests by route; streams last as long as their client stays.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._tool_calls = Counter(
            "kg_tool_calls", "Calls of the two tools: ok, refused or fault.", ("tool", "outcome"), registry=registry
        )
        self._blocked = Counter(
            "kg_blocked", "Attempts that a door stopped: http, admin, mcp, cell.", ("door", "code"), registry=registry
        )
        self._cells = Counter("kg_cells", "Cells that ended, by status.", ("status",), registry=registry)
        self._cell_seconds = Histogram(
            "kg_cell_duration_seconds", "How long cells ran.", buckets=BUCKETS, registry=registry
        )
        self._calls = Counter(
            "kg_operations", "Operations that cells called.", ("operation", "status"), registry=registry
        )
        self._call_seconds = Histogram(
            "kg_operation_duration_seconds", "How long they took.", ("operation",), buckets=BUCKETS, registry=registry
        )
        self._blob_bytes = Counter(
            "kg_blob_bytes", "Bytes through handles, in the cell's view.", ("direction",), registry=registry
        )
        self._events = Counter("kg_events", "Events recorded in the ledger.", ("kind",), registry=registry)
        self._begin_at_zero()

    def __repr__(self) -> str:
        return f"<Metrics of {len(self._operations)} operations>"

    def record(self, event: Event) -> None:
        """What the journal calls with each event."""
        self._events.labels(event.kind).inc()
        match event:
            case OperationCalled():
                operation = event.operation if event.operation in self._operations else OTHER
                status = _within(STATUSES, event.status)
                self._calls.labels(operation, status).inc()
                self._call_seconds.labels(operation).observe(event.duration_ms / 1000)
                self._count_blocked("cell", status)
            case CellRan():
                self._cells.labels(_within(STATUSES, event.status)).inc()
                self._cell_seconds.observe(event.duration_ms / 1000)
            case Refused() if event.door not in ANSWERED:
                self._count_blocked("admin" if event.door == "admin" else "http", event.code, event.count)
            case BlobMoved():
                self._blob_bytes.labels(event.direction or OTHER).inc(event.bytes)

    def answered(self, method: str, tool: str, error_type: str, code: str, seconds: float) -> None:
        """An MCP message. `error_type` as the convention has it; `code` is the tool result's own, "" where it is ok."""
        tool = tool if tool in TOOLS or not tool else OTHER
        self._mcp.labels(_within(METHODS, method), tool, _within(ERROR_TYPES, error_type)).observe(seconds)
        if tool in TOOLS:
            self._tool_calls.labels(tool, outcome_of(code)).inc()
            self._count_blocked("mcp", code)

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request; `route` is the pattern of a handler, never a path."""
        self._http.labels(_within(HTTP_METHODS, method), route, str(status)).observe(seconds)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """`read` is asked at each scrape."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def exposition(self) -> bytes:
        """Everything, in the text format of `content_type`."""
        return generate_latest(self.registry)

    def _count_blocked(self, door: str, code: str, count: int = 1) -> None:
        if code in BLOCKED:
            self._blocked.labels(door, code).inc(count)

    def _begin_at_zero(self) -> None:
        """A rate needs a first value: without it the first failure after a start is not seen."""
        for tool in TOOLS:
            for outcome in ("ok", "refused", "fault"):
                self._tool_calls.labels(tool, outcome)
        for status in ("ok", "lost"):
            self._cells.labels(status)
        for door, code in (("http", "unauthenticated"), ("mcp", "denied"), ("cell", "denied")):
            self._blocked.labels(door, code)


def _within(known: frozenset[str], label: str) -> str:
    return label if label in known else OTHER
