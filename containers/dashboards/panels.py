"""What the dashboard shows: rows of panels, each with its PromQL. Windows are five minutes unless a title says more."""

from dataclasses import dataclass

OBJECTIVE = 0.999  # of the calls of the two tools, those that are no fault of the service


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` in Grafana's template form, `{{label}}`."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` in Grafana's words: s, ops, bytes, percentunit, short."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"


def quantile(part: float, histogram: str, by: str = "", only: str = "") -> str:
    """Of a histogram's five minutes; `only` selects series, `{label="value"}`."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({part:g}, sum by ({labels}) (rate({histogram}_bucket{only}[5m])))"


def quantiles(histogram: str, by: str = "", only: str = "") -> tuple[Query, ...]:
    """Median, p95 and p99."""
    legend = f"{{{{{by}}}}} " if by else ""
    return tuple(Query(quantile(part, histogram, by, only), f"{legend}p{part * 100:g}") for part in (0.5, 0.95, 0.99))


def fault_ratio(window: str) -> str:
    """The part of tool calls that failed by a fault of the service. No value where nobody called."""
    fault = f'sum(rate(kg_tool_calls_total{{outcome="fault"}}[{window}]))'
    return f"{fault} / sum(rate(kg_tool_calls_total[{window}]))"


TOOL_CALLS = '{mcp_method_name="tools/call"}'

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Objective",
        (
            Panel(
                "Error budget left, 30 days",
                "1 is untouched, 0 is spent: at most 0.1 % of tool calls may fail by a fault of the service.",
                "percentunit",
                (Query(f"1 - ({fault_ratio('30d')}) / {1 - OBJECTIVE:g}", "budget left"),),
                "stat",
            ),
            Panel(
                "Burn of the error budget",
                "How many times faster than allowed it is spent. At 14.4 a month's budget lasts two days.",
                "short",
                tuple(
                    Query(f"kg:fault_ratio:rate{window} / {1 - OBJECTIVE:g}", window)
                    for window in ("5m", "1h", "6h", "3d")
                ),
            ),
            Panel(
                "Faults, part of tool calls",
                "Answers that the operator has to look into: internal, sandbox, an upstream that breaks its contract.",
                "percentunit",
                (Query(fault_ratio("5m"), "faults"),),
            ),
        ),
    ),
    (
        "Traffic",
        (
            Panel(
                "Tool calls",
                "By tool and by how they ended.",
                "ops",
                (Query("sum by (tool, outcome) (rate(kg_tool_calls_total[5m]))", "{{tool}} {{outcome}}"),),
            ),
            Panel(
                "Latency of tool calls",
                "From receipt to answer; `execute` includes the cell.",
                "s",
                quantiles("mcp_server_operation_duration_seconds", "gen_ai_tool_name", TOOL_CALLS),
            ),
            Panel(
                "Cells",
                "By status. `lost` is a kernel that died.",
                "ops",
                (Query("sum by (status) (rate(kg_cells_total[5m]))", "{{status}}"),),
            ),
            Panel("Length of cells", "As the gateway measured it.", "s", quantiles("kg_cell_duration_seconds")),
            Panel(
                "Operations",
                "What cells called, and how it ended.",
                "ops",
                (Query("sum by (operation, status) (rate(kg_operations_total[5m]))", "{{operation}} {{status}}"),),
            ),
            Panel(
                "Latency of operations",
                "Upstream included.",
                "s",
                quantiles("kg_operation_duration_seconds", "operation"),
            ),
            Panel(
                "HTTP requests",
                "By route and status.",
                "ops",
                (
                    Query(
                        "sum by (http_route, http_response_status_code)"
                        " (rate(http_server_request_duration_seconds_count[5m]))",
                        "{{http_route}} {{http_response_status_code}}",
                    ),
                ),
            ),
            Panel(
                "Bytes through handles",
                "In the cell's view: read and write.",
                "Bps",
                (Query("sum by (direction) (rate(kg_blob_bytes_total[5m]))", "{{direction}}"),),
            ),
        ),
    ),
    (
        "Security",
        (
            Panel(
                "Blocked attempts",
                "By door and code: at HTTP, at the admin socket, at the tools, and of running cells.",
                "ops",
                (Query("sum by (door, code) (rate(kg_blocked_total[5m]))", "{{door}} {{code}}"),),
            ),
            Panel(
                "Authentication failures",
                "No token, or one that does not hold.",
                "ops",
                (Query('sum(rate(kg_blocked_total{code="unauthenticated"}[5m]))', "failures"),),
            ),
            Panel(
                "Approvals waiting",
                "Somebody's work stands still until a person answers.",
                "short",
                (Query("sum(kg_approvals_waiting)", "waiting"),),
            ),
            Panel(
                "Switched off",
                "How many things the kill switch holds off.",
                "short",
                (Query("max(kg_switched_off)", "off"),),
                "stat",
            ),
            Panel(
                "Events in the ledger",
                "By kind. A service that works and records nothing is broken.",
                "ops",
                (Query("sum by (kind) (rate(kg_events_total[5m]))", "{{kind}}"),),
            ),
        ),
    ),
    (
        "Utilisation",
        (
            Panel(
                "Places for sessions in use",
                "At 1 nobody new gets in.",
                "percentunit",
                (Query("kg_sessions / kg_sessions_limit", "{{instance}}"),),
            ),
            Panel(
                "Kernels",
                "Living, and of them ready.",
                "short",
                (Query("sum(kg_kernels)", "living"), Query("sum(kg_kernels_ready)", "ready")),
            ),
            Panel(
                "Processor of the gateway",
                "Cores; kernels have their own.",
                "short",
                (Query("rate(process_cpu_seconds_total[5m])", "{{instance}}"),),
            ),
            Panel(
                "Memory of the gateway",
                "Resident.",
                "bytes",
                (Query("process_resident_memory_bytes", "{{instance}}"),),
            ),
            Panel(
                "File descriptors in use",
                "A session takes a dozen.",
                "percentunit",
                (Query("process_open_fds / process_max_fds", "{{instance}}"),),
            ),
            Panel(
                "Ready",
                "1 where the service says that it keeps its promises.",
                "short",
                (Query("kg_ready", "{{instance}}"),),
                "stat",
            ),
        ),
    ),
)
PANELS = tuple(panel for _, panels in ROWS for panel in panels)
