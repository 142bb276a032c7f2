"""The dashboard and the alerts, in a real Prometheus that scrapes a real service."""

import json
import re

import httpx2
import pytest
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from containers.dashboards.__main__ import HERE, rules, write
from containers.dashboards.alerts import ALERTS, RECORDED
from containers.dashboards.panels import PANELS
from kernel_gateway.frontends.listener import bind
from tests.containers.prometheus_server import Prometheus, promtool

CONFIGURATION = HERE.parent.parent / "CONFIGURATION.md"
TOKEN = "scraper-" + "7" * 32
CELL = r"""
head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
upload = image_ops.uploads_init(filename="a.png", content_type="image/png", size_bytes=len(head))
upload.upload_url.write(head)
image_ops.cleanup_create(ids=[upload.upload_id], idempotency_key=upload.upload_id)
image_ops.quota_get()
"""
# The cells go on until Prometheus has seen enough of them, which on a fast machine are many.
ENOUGH = {
    "max_calls_per_session": 100_000,
    "budgets": {"session": {"writes": 100_000}, "tree": {"calls": 100_000, "writes": 100_000}},
    "quotas": {"principal": {"calls": 100_000, "writes": 100_000}},
}
SCOPES = "kernel.search kernel.execute image.quota.read image.upload image.cleanup"


def test_what_is_committed_is_what_the_code_writes(tmp_path):
    write(tmp_path)
    for name in ("kernel-gateway.json", "rules.yml"):
        assert (tmp_path / name).read_text() == (HERE / name).read_text(), "run `make dashboards`"


def test_every_panel_has_its_own_place_on_the_dashboard():
    panels = json.loads((HERE / "kernel-gateway.json").read_text())["panels"]
    places = [panel["gridPos"] for panel in panels]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24
    assert [panel["title"] for panel in panels if panel["type"] != "row"] == [panel.title for panel in PANELS]


def test_every_alert_names_a_runbook_that_is_there():
    assert [alert.name for alert in ALERTS if not (HERE.parent / "runbooks" / alert.runbook).is_file()] == []


@pytest.fixture
async def prometheus(tmp_path, hold, gateway_settings, world_and_app):
    world, app = await world_and_app(gateway_settings(metrics={"token": TOKEN}, limits=ENOUGH))
    bound, free = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
    for each in free.sockets:
        each.close()
    await hold(app.serving(bound))
    started = Prometheus(tmp_path, free.port, f"127.0.0.1:{bound.port}", TOKEN, HERE / "rules.yml")
    await started.start()
    yield started, f"http://127.0.0.1:{bound.port}", world.mint("loader", SCOPES)
    await started.stop()


async def test_every_panel_and_every_rule_has_data_from_a_service_under_load(prometheus):
    prometheus, url, token = prometheus
    alerting = [measure for alert in ALERTS for measure in alert.measures]
    wanted = {*(query.expr for panel in PANELS for query in panel.queries), *RECORDED, *alerting}
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        httpx2.AsyncClient() as nobody,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as agent,
    ):
        session = (await agent.call_tool("execute", {"code": "1"})).structured_content["session_id"]
        while wanted:
            ran = (await agent.call_tool("execute", {"code": CELL, "session_id": session})).structured_content
            assert (ran["status"], [call["status"] for call in ran["calls"]]) == ("ok", ["ok"] * 3), ran
            await agent.call_tool("search", {"query": "quota"})
            assert (await nobody.get(f"{url}/v1/sessions")).status_code == 401
            wanted = {expr for expr in wanted if not await prometheus.query(expr)}
    evaluated = await prometheus.rules()
    assert set(evaluated) == {*RECORDED, *(alert.name for alert in ALERTS)}
    assert {name: rule["health"] for name, rule in evaluated.items() if rule["health"] != "ok"} == {}
    assert await prometheus.query('sum(kg_blocked_total{code="unauthenticated"})') > [0.0]
    assert [rule["name"] for rule in evaluated.values() if rule.get("state") == "firing"] == []


# As promtool writes series: the value at the start, what is added each minute, how often; `1x150` stays at 1.
BAD_DAY = {
    'up{job="kernel-gateway"}': "0x150",
    "kg_ready": "0x150",
    'kg_tool_calls_total{outcome="ok",tool="search"}': "0+60x150",
    'kg_tool_calls_total{outcome="fault",tool="search"}': "0+1x150",
    'kg_blocked_total{door="http",code="unauthenticated"}': "0+61x150",
    'kg_blocked_total{door="cell",code="denied"}': "0+61x150",
    'mcp_server_operation_duration_seconds_bucket{gen_ai_tool_name="search",le="1.0"}': "0+56x150",
    'mcp_server_operation_duration_seconds_bucket{gen_ai_tool_name="search",le="2.0"}': "0+60x150",
    'mcp_server_operation_duration_seconds_bucket{gen_ai_tool_name="search",le="+Inf"}': "0+60x150",
    "kg_sessions": "46x150",
    "kg_sessions_limit": "50x150",
    "process_open_fds": "901x150",
    "process_max_fds": "1000x150",
    'kg_cells_total{status="lost"}': "0+3x150",
    'kg_cells_total{status="ok"}': "0+10x150",
    "kg_approvals_waiting": "1x150",
    "kg_switched_off": "1x150",
}
GOOD_DAY = {
    **BAD_DAY,
    'up{job="kernel-gateway"}': "1x150",
    "kg_ready": "1x150",
    'kg_tool_calls_total{outcome="ok",tool="search"}': "0+2000x150",
    'kg_blocked_total{door="http",code="unauthenticated"}': "0+59x150",
    'kg_blocked_total{door="http",code="limited"}': "0+600x150",
    'kg_blocked_total{door="cell",code="denied"}': "0+59x150",
    'mcp_server_operation_duration_seconds_bucket{gen_ai_tool_name="search",le="1.0"}': "0+58x150",
    "kg_sessions": "45x150",
    "process_open_fds": "900x150",
    'kg_cells_total{status="lost"}': "0+2x150",
    "kg_approvals_waiting": "0x150",
    "kg_switched_off": "0x150",
}


@pytest.mark.parametrize(("series", "fires"), [(BAD_DAY, True), (GOOD_DAY, False)], ids=["bad day", "good day"])
async def test_every_alert_fires_on_a_bad_day_and_none_on_a_good_one(tmp_path, series, fires):
    expected = []
    for rule in rules()["groups"][1]["rules"]:
        labels = rule["labels"] | ({"job": "kernel-gateway"} if rule["alert"] == "KernelGatewayDown" else {})
        fired = [{"exp_labels": labels, "exp_annotations": rule["annotations"]}]
        expected.append({"eval_time": "2h", "alertname": rule["alert"], "exp_alerts": fired if fires else []})
    day = {
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "alert_rule_test": expected,
    }
    rehearsal = {"rule_files": [str(HERE / "rules.yml")], "evaluation_interval": "1m", "tests": [day]}
    (tmp_path / "rehearsal.yml").write_text(yaml.safe_dump(rehearsal))
    code, output = await promtool("test", "rules", str(tmp_path / "rehearsal.yml"))
    assert code == 0, output


async def test_promtool_finds_nothing_wrong_with_the_rules():
    code, output = await promtool("check", "rules", "--lint=all", "--lint-fatal", str(HERE / "rules.yml"))
    assert code == 0, output


async def test_the_documented_configuration_of_prometheus_holds_and_names_the_job_that_the_alerts_ask_for(tmp_path):
    (documented,) = re.findall(r"^```yaml\n(.*?)^```$", CONFIGURATION.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "kernel-gateway-rules.yml").write_text((HERE / "rules.yml").read_text())
    (tmp_path / "kernel-gateway-token").write_text(TOKEN)
    (tmp_path / "prometheus.yml").write_text(documented.replace("/etc/prometheus", str(tmp_path)))
    code, output = await promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert code == 0 and "rules found" in output, output
    (job,) = (each["job_name"] for each in yaml.safe_load(documented)["scrape_configs"])
    assert f'job="{job}"' in (HERE / "rules.yml").read_text()
