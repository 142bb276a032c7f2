"""Writes what Grafana and Prometheus read: `python -m containers.dashboards [FOLDER]`."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from containers.dashboards.alerts import ALERTS, RECORDED, RUNBOOKS, Alert
from containers.dashboards.panels import ROWS, Panel

HERE = Path(__file__).parent
COLUMNS, WIDTH, HEIGHT = 24, 8, 8  # Grafana's grid, and what a panel takes of it


def dashboard() -> dict[str, Any]:
    """In Grafana's JSON model; the data source is chosen when it is imported."""
    shown: list[dict[str, Any]] = []
    y = 0
    for title, panels in ROWS:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        shown.append({"id": len(shown) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place})
        for number, panel in enumerate(panels):
            row, column = divmod(number, COLUMNS // WIDTH)
            place = {"x": column * WIDTH, "y": y + 1 + row * HEIGHT, "w": WIDTH, "h": HEIGHT}
            shown.append({"id": len(shown) + 1, **_panel(panel), "gridPos": place})
        y += 1 + HEIGHT * -(-len(panels) // (COLUMNS // WIDTH))
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": "kernel-gateway",
        "title": "Kernel gateway",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": shown,
    }


def _panel(panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": source, "expr": query.expr, "legendFormat": query.legend}
            for number, query in enumerate(panel.queries)
        ],
    }


def rules() -> dict[str, Any]:
    """In Prometheus' form. Recording rules come first, for the alerts read what they record."""
    recorded = [{"record": name, "expr": expr} for name, expr in RECORDED.items()]
    return {
        "groups": [
            {"name": "kernel-gateway-objective", "rules": recorded},
            {"name": "kernel-gateway-alerts", "rules": [_alert(alert) for alert in ALERTS]},
        ]
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasting,
        "labels": {"severity": "page" if alert.wakes else "ticket"},
        "annotations": {"summary": alert.summary, "runbook": f"{RUNBOOKS}/{alert.runbook}"},
    }


def write(folder: Path) -> None:
    heading = "# Written by `python -m containers.dashboards`; change alerts.py.\n"
    (folder / "kernel-gateway.json").write_text(json.dumps(dashboard(), indent=1) + "\n")
    (folder / "rules.yml").write_text(heading + yaml.safe_dump(rules(), sort_keys=False, width=110))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
