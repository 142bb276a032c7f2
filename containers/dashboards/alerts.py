"""Whom to wake and when: recording rules for the burn of the error budget, and alerts with the runbook that helps.

The burn alerts take two windows each (Site Reliability Workbook, chapter 5): the long one says that it matters, the
short one that it still goes on.
"""

from dataclasses import dataclass

from containers.dashboards.panels import OBJECTIVE, fault_ratio, quantile

RUNBOOKS = "containers/runbooks"
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires where every one of `measures` is beyond its `limits`, for `lasting`. `wakes` a person, or waits for one."""

    name: str
    summary: str
    measures: tuple[str, ...]
    limits: tuple[str, ...]
    lasting: str
    wakes: bool
    runbook: str = "incident.md"

    @property
    def expr(self) -> str:
        """The limits are `> 0.5`, `== 0` and so on."""
        compared = [f"({measure}) {limit}" for measure, limit in zip(self.measures, self.limits, strict=True)]
        return " and ".join(compared)


def burn(long: str, short: str, factor: float, wakes: bool) -> Alert:
    limit = f"> {factor * (1 - OBJECTIVE):.6g}"
    return Alert(
        f"KernelGatewayErrorBudgetBurn{long}",
        f"Tool calls fail by a fault of the service, {factor:g} times more often than the objective allows.",
        (f"kg:fault_ratio:rate{long}", f"kg:fault_ratio:rate{short}"),
        (limit, limit),
        "2m" if wakes else "15m",
        wakes,
    )


RECORDED = {f"kg:fault_ratio:rate{window}": fault_ratio(window) for window in WINDOWS}

ALERTS = (
    Alert("KernelGatewayDown", "The service cannot be scraped.", ('up{job="kernel-gateway"}',), ("== 0",), "2m", True),
    Alert("KernelGatewayNotReady", "`/readyz` fails; it says why.", ("kg_ready",), ("== 0",), "5m", True),
    burn("1h", "5m", 14.4, wakes=True),
    burn("6h", "30m", 6, wakes=True),
    burn("1d", "2h", 3, wakes=False),
    burn("3d", "6h", 1, wakes=False),
    Alert(
        "KernelGatewayAuthenticationFailures",
        "More than one failed authentication a second: somebody tries tokens, or an issuer has changed its keys.",
        ('sum(rate(kg_blocked_total{code="unauthenticated"}[5m]))',),
        ("> 1",),
        "5m",
        False,
    ),
    Alert(
        "KernelGatewayBlockedAttempts",
        "Cells or callers are stopped at a door more than once a second: an agent that was persuaded, or an attack.",
        ('sum(rate(kg_blocked_total{code!~"unauthenticated|limited|busy"}[5m]))',),
        ("> 1",),
        "5m",
        True,
    ),
    Alert(
        "KernelGatewaySlow",
        "One search in twenty takes longer than a second.",
        (quantile(0.95, "mcp_server_operation_duration_seconds", only='{gen_ai_tool_name="search"}'),),
        ("> 1",),
        "10m",
        False,
    ),
    Alert(
        "KernelGatewayFull",
        "Nine in ten places for sessions are taken.",
        ("kg_sessions / kg_sessions_limit",),
        ("> 0.9",),
        "10m",
        False,
    ),
    Alert(
        "KernelGatewayDescriptorsRunOut",
        "Nine in ten file descriptors are open.",
        ("process_open_fds / process_max_fds",),
        ("> 0.9",),
        "10m",
        True,
    ),
    Alert(
        "KernelGatewayKernelsDie",
        "More than one cell in five loses its kernel.",
        ('sum(rate(kg_cells_total{status="lost"}[15m])) / sum(rate(kg_cells_total[15m]))',),
        ("> 0.2",),
        "15m",
        False,
    ),
    Alert(
        "KernelGatewayApprovalsWait",
        "Approvals have been waiting for ten minutes: nobody answers.",
        ("sum(kg_approvals_waiting)",),
        ("> 0",),
        "10m",
        False,
    ),
    Alert(
        "KernelGatewaySwitchedOff",
        "The kill switch holds something off for an hour.",
        ("max(kg_switched_off)",),
        ("> 0",),
        "1h",
        False,
    ),
)
