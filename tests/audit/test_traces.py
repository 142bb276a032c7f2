"""Traces as a collector on loopback gets them."""

import asyncio
import os
import sys

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode, get_tracer_provider

from kernel_gateway.audit.cell_spans import MAX_CALLS, MAX_CELLS, CellSpans
from kernel_gateway.audit.events import CellRan, OperationCalled
from kernel_gateway.audit.observation_settings import TraceSettings
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.audit.span_export import MAX_CHARACTERS, READ_CHARACTERS, RedactedExport
from kernel_gateway.audit.traces import exporting
from kernel_gateway.errors import ConfigError
from kernel_gateway.settings import Settings
from tests.audit.trace_receiver import TraceReceiver

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def receiver():
    made = TraceReceiver()
    yield made
    made.close()


@pytest.fixture
def provider(receiver):
    made = TracerProvider(shutdown_on_exit=False)
    export = OTLPSpanExporter(endpoint=receiver.url)
    made.add_span_processor(SimpleSpanProcessor(RedactedExport(export, Redactor([SECRET]))))
    yield made
    made.shutdown()


def attributes(span):
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_no_text_of_a_span_leaves_with_a_secret(receiver, provider):
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span(f"tools/call {SECRET}", record_exception=False) as span:
        span.set_attribute("gen_ai.tool.name", f"password={SECRET}")
        span.set_attribute("several", [SECRET, "harmless"])
        span.add_event(f"said {SECRET}")
        span.record_exception(ValueError(f"Authorization: Bearer {SECRET}"))
        span.set_status(Status(StatusCode.ERROR, f"https://ada:{SECRET}@db.example/"))
    (body,) = receiver.bodies
    assert SECRET.encode() not in body
    (span,) = receiver.spans
    exception = {each.key: each.value.string_value for each in span.events[1].attributes}
    assert exception["exception.type"] == "ValueError" and exception["exception.message"].startswith("Authorization: [")
    assert [each.string_value for each in span.attributes[1].value.array_value.values][1] == "harmless"


def test_a_text_is_cut_before_it_leaves(receiver, provider):
    provider.get_tracer("test").start_span("x" * MAX_CHARACTERS + "!").end()
    provider.get_tracer("test").start_span("x" * MAX_CHARACTERS).end()
    assert [span.name for span in receiver.spans] == ["x" * MAX_CHARACTERS] * 2


def test_no_more_of_a_text_is_read_than_may_leave_of_it(receiver):
    class Reading(Redactor):
        read = 0

        def redact(self, text, at_most=0):
            redacted = super().redact(text, at_most)
            self.read = max(self.read, at_most, len(redacted))
            return redacted

    redactor = Reading([SECRET])
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(RedactedExport(OTLPSpanExporter(endpoint=receiver.url), redactor)))
    provider.get_tracer("test").start_span("x" * (READ_CHARACTERS - 10) + SECRET + "auth=[" * 100_000).end()
    provider.get_tracer("test").start_span(f"{SECRET * 290} {SECRET}").end()
    provider.shutdown()
    assert redactor.read == READ_CHARACTERS
    assert not any(SECRET[:5].encode() in body for body in receiver.bodies)


def test_a_cell_has_a_span_with_one_for_each_call(receiver, provider):
    spans = CellSpans(provider.get_tracer("test"))
    call = {"cell_id": "cell_1", "operation": "image_ops:quota_get", "duration_ms": 250.0, "http_status": 200}
    spans.record(OperationCalled(at=1001.0, status="ok", **call))
    spans.record(OperationCalled(at=1001.5, status="denied", **call))
    spans.record(OperationCalled(at=1001.5, status="ok", **{**call, "cell_id": "cell_2"}))
    spans.record(CellRan(at=1002.0, cell=3, cell_id="cell_1", status="error", duration_ms=2000.0, calls=2))
    first, second, cell = receiver.spans
    assert (cell.name, first.name) == ("cell", "execute_tool image_ops:quota_get")
    assert first.parent_span_id == second.parent_span_id == cell.span_id
    assert (cell.start_time_unix_nano, cell.end_time_unix_nano) == (1_000_000_000_000, 1_002_000_000_000)
    assert first.start_time_unix_nano == 1_000_750_000_000
    assert attributes(second)["error.type"] == "denied" and "error.type" not in attributes(first)
    assert attributes(cell)["kg.cell.number"] == 3


def test_what_is_kept_for_cells_that_run_is_bounded(receiver, provider):
    spans = CellSpans(provider.get_tracer("test"))
    for number in range(MAX_CELLS + 1):
        spans.record(OperationCalled(at=1.0, cell_id=f"cell_{number}"))
    for _ in range(MAX_CALLS + 1):
        spans.record(OperationCalled(at=1.0, cell_id="cell_1"))
    for cell_id in ("cell_0", "cell_1"):
        spans.record(CellRan(at=1.0, cell_id=cell_id))
    names = [span.name for span in receiver.spans]
    assert (names.count("cell"), len(names)) == (2, MAX_CALLS + 2)


async def test_without_an_endpoint_nothing_is_set_up():
    before = get_tracer_provider()
    async with exporting(TraceSettings(), Redactor()) as listener:
        assert listener is None and get_tracer_provider() is before


async def test_without_the_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match="install the extra `tracing`"):
        async with exporting(TraceSettings(endpoint="http://127.0.0.1:1/v1/traces"), Redactor()):
            pass


def test_an_endpoint_is_a_url():
    with pytest.raises(ConfigError, match="such as https://collector:4318/v1/traces"):
        Settings.of({"traces": {"endpoint": "collector:4318"}})


async def test_a_running_service_sends_each_request_with_its_cell_and_calls(receiver, tmp_path):
    environment = {
        **os.environ,
        "KG_STORE__FOLDER": str(tmp_path / "state"),
        "KG_KERNELS__PRELOAD": "[]",
        "KG_KERNELS__POOL__READY": "0",
        "KG_TRACES__ENDPOINT": receiver.url,
        "KG_TRACES__HEADERS": f'{{authorization = "Bearer {SECRET}"}}',
    }
    command = (sys.executable, "-m", "kernel_gateway", "demo", "--once", "--json", "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    assert {each["authorization"] for each in receiver.headers} == {f"Bearer {SECRET}"}
    by_id = {span.span_id: span for span in receiver.spans}
    call = next(span for span in by_id.values() if span.name == "execute_tool image_ops:jobs_create")
    cell = by_id[call.parent_span_id]
    request = by_id[cell.parent_span_id]
    assert (cell.name, request.name) == ("cell", "tools/call execute")
    assert request.start_time_unix_nano <= cell.start_time_unix_nano <= call.start_time_unix_nano
    assert not any(b"grace_hopper" in body or b"import matplotlib" in body for body in receiver.bodies)
