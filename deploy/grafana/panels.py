"""Dashboards as data, and Grafana's JSON for them: rows of panels, each with its expressions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

COLUMNS, HEIGHT, TITLE_HEIGHT = 24, 7, 1
SOURCE = {"type": "prometheus", "uid": "sluice-prometheus"}


@dataclass(frozen=True)
class Query:
    """One expression; `legend` names its series after their labels, as `{{state}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture: `unit` is Grafana's name of it (short, s, Bps, percentunit)."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    says: str = ""
    bad_from: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels side by side, of equal width, under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """One page; `name` is its file's and address's."""

    name: str
    title: str
    rows: tuple[Row, ...]


def rendered(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana's JSON."""
    return json.dumps(_dashboard(dashboard), indent=2, sort_keys=True) + "\n"


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    panels = list(_panels(dashboard.rows))
    return {
        "uid": f"sluice-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["sluice"],
        "timezone": "utc",  # schedules are in UTC, and so are their pictures
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["sluice"], "title": "Sluice", "asDropdown": True}],
        "panels": [{**panel, "id": number} for number, panel in enumerate(panels, 1)],
    }


def _panels(rows: tuple[Row, ...]) -> Iterator[dict[str, Any]]:
    y = 0
    for row in rows:
        yield {"type": "row", "title": row.title, "collapsed": False, "panels": []} | _place(
            0, y, COLUMNS, TITLE_HEIGHT
        )
        width = COLUMNS // len(row.panels)
        for number, panel in enumerate(row.panels):
            yield _panel(panel) | _place(number * width, y + TITLE_HEIGHT, width, HEIGHT)
        y += TITLE_HEIGHT + HEIGHT


def _place(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_from is not None:
        steps.append({"color": "red", "value": panel.bad_from})
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": _options(panel.kind),
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query.expr, "legendFormat": query.legend, "datasource": SOURCE}
            for number, query in enumerate(panel.queries)
        ],
    }


def _options(kind: str) -> dict[str, Any]:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
