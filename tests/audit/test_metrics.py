"""What is counted of what happens, and that no label is anybody's to choose."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kernel_gateway.audit.events import BlobMoved, CellRan, OperationCalled, Refused
from kernel_gateway.audit.metrics import Metrics, outcome_of
from kernel_gateway.errors import CODES

QUOTA = "image_ops:quota_get"
WHO = {"organisation": "acme", "subject": "ada", "client": "notebook", "session_id": "ses_1"}


@pytest.fixture
def metrics():
    return Metrics([QUOTA])


def samples(metrics):
    """{(name, labels): value} of what a scraper would read."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def counted(metrics, name, **labels):
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def test_a_call_is_counted_by_operation_and_status_with_its_time(metrics):
    metrics.record(OperationCalled(operation=QUOTA, status="ok", duration_ms=250, **WHO))
    metrics.record(OperationCalled(operation=QUOTA, status="denied", decision="deny", **WHO))
    assert counted(metrics, "kg_operations_total", operation=QUOTA, status="ok") == 1
    assert counted(metrics, "kg_operation_duration_seconds_sum", operation=QUOTA) == 0.25
    assert counted(metrics, "kg_blocked_total", door="cell", code="denied") == 1


def test_cells_bytes_and_refusals_are_counted(metrics):
    metrics.record(CellRan(status="lost", duration_ms=1500, **WHO))
    metrics.record(BlobMoved(direction="write", bytes=100, status="ok", **WHO))
    metrics.record(Refused(code="unauthenticated", door="http", count=7))
    metrics.record(Refused(code="denied", door="admin"))
    metrics.record(Refused(code="invalid", door="http"))
    assert counted(metrics, "kg_cells_total", status="lost") == 1
    assert counted(metrics, "kg_cell_duration_seconds_sum") == 1.5
    assert counted(metrics, "kg_blob_bytes_total", direction="write") == 100
    assert counted(metrics, "kg_blocked_total", door="http", code="unauthenticated") == 7
    assert counted(metrics, "kg_blocked_total", door="admin", code="denied") == 1
    assert counted(metrics, "kg_events_total", kind="refused") == 3
    metrics.record(Refused(code="denied", door="rest", action="read"))
    metrics.record(Refused(code="denied", door="mcp", action="execute"))  # its answer is counted
    assert counted(metrics, "kg_blocked_total", door="http", code="denied") == 1
    assert not any("invalid" in dict(labels).values() for _, labels in samples(metrics))


def test_an_mcp_message_has_the_names_of_the_convention(metrics):
    metrics.answered("tools/call", "execute", "tool_error", "denied", 0.3)
    names = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "execute", "error_type": "tool_error"}
    assert counted(metrics, "mcp_server_operation_duration_seconds_sum", **names) == 0.3
    assert counted(metrics, "mcp_server_operation_duration_seconds_bucket", le="0.2", **names) == 0
    assert counted(metrics, "mcp_server_operation_duration_seconds_bucket", le="0.5", **names) == 1
    assert counted(metrics, "kg_tool_calls_total", tool="execute", outcome="refused") == 1
    assert counted(metrics, "kg_blocked_total", door="mcp", code="denied") == 1


def test_a_fault_is_what_the_operator_has_to_look_into():
    faults = {code for code in CODES if outcome_of(code) == "fault"}
    assert faults == {"internal", "sandbox", "upstream_invalid"}
    assert (outcome_of(""), outcome_of("-32603"), outcome_of("disabled")) == ("ok", "fault", "refused")


def test_what_can_fail_is_counted_from_zero(metrics):
    assert counted(metrics, "kg_tool_calls_total", tool="execute", outcome="fault") == 0
    assert counted(metrics, "kg_blocked_total", door="http", code="unauthenticated") == 0


def test_a_gauge_is_read_at_each_scrape(metrics):
    waiting = [1]
    metrics.gauge("kg_approvals_waiting", "Approvals.", lambda: len(waiting))
    assert counted(metrics, "kg_approvals_waiting") == 1
    waiting.clear()
    assert counted(metrics, "kg_approvals_waiting") == 0


@settings(max_examples=25)
@given(st.lists(st.text(max_size=30), min_size=5, max_size=5))
def test_nobody_outside_can_make_a_series(texts):
    metrics = Metrics([QUOTA])
    method, tool, error_type, code, name = texts
    metrics.answered("x", "x", "x", "x", 0.1)
    metrics.requested("x", "/mcp", 200, 0.1)
    metrics.record(OperationCalled(operation="other:x", status="ok"))
    before = samples(metrics).keys()
    metrics.answered(f"x{method}", f"x{tool}", f"x{error_type}", f"x{code}", 0.1)
    metrics.requested(f"x{method}", "/mcp", 200, 0.1)
    metrics.record(OperationCalled(operation=f"other:{name}", status="ok", subject=name, organisation=name))
    assert samples(metrics).keys() == before


def test_no_label_says_who_it_was(metrics):
    for event in (OperationCalled, CellRan, BlobMoved, Refused):
        metrics.record(event(**WHO))
    metrics.answered("tools/call", "execute", "", "", 0.1)
    metrics.requested("GET", "/v1/sessions/{id}", 200, 0.1)
    names = {name for _, labels in samples(metrics) for name, _ in labels}
    assert names == {
        *("le", "mcp_method_name", "gen_ai_tool_name", "error_type", "tool", "outcome", "door", "code", "status"),
        *("operation", "direction", "kind", "http_request_method", "http_route", "http_response_status_code"),
    }
    assert not any(value in str(samples(metrics)) for value in WHO.values())


async def test_the_journal_tells_its_listeners_of_every_event_it_keeps(ledger, metrics):
    async with ledger.journal() as journal:
        journal.subscribe(metrics.record)
        journal.record(CellRan(status="ok", **WHO))
        assert counted(metrics, "kg_cells_total", status="ok") == 1
