"""The building blocks of `dashboards.py`: rows of panels with expressions, rendered as JSON by Grafana's SDK."""

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)

COLUMNS, HEIGHT = 24, 7
SOURCE = DataSourceRef(type_val="prometheus", uid="sluice-prometheus")


@dataclass(frozen=True)
class Query:
    """One expression; `legend` names its series by their labels, such as `{{state}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel; `unit` is the name of a unit in Grafana (short, s, Bps, percentunit)."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    description: str = ""
    bad_from: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels of equal width next to each other, under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard; `name` is the name of its file and part of its address."""

    name: str
    title: str
    rows: tuple[Row, ...]


def render(page: Dashboard) -> str:
    """Return a dashboard as JSON for Grafana."""
    links = (
        dashboard.DashboardLink("Sluice")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["sluice"])
        .as_dropdown(True)
        .keep_time(True)
    )
    built = dashboard.Dashboard(page.title).uid(f"sluice-{page.name}").tags(["sluice"]).link(links)
    # Schedules are in UTC, and so are the dashboards.
    built = built.timezone("utc").refresh("30s").time("now-6h", "now")
    number = 0
    for row in page.rows:
        number += 1
        built = built.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            built = built.with_panel(_panel(panel).id(number).span(COLUMNS // len(row.panels)).height(HEIGHT))
    return JSONEncoder(indent=2, sort_keys=True).encode(built.build()) + "\n"


def _panel(panel: Panel) -> timeseries.Panel | stat.Panel:
    built = _stat() if panel.kind == "stat" else _timeseries()
    steps = [Threshold(value=None, color="green")]
    if panel.bad_from is not None:
        steps.append(Threshold(value=panel.bad_from, color="red"))
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    built = built.title(panel.title).description(panel.description).unit(panel.unit).min(0).thresholds(thresholds)
    built = built.datasource(SOURCE)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).datasource(SOURCE)
        built = built.with_target(target.ref_id(chr(ord("A") + number)))
    return built


def _stat() -> stat.Panel:
    latest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(latest).color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.AREA)


def _timeseries() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    return timeseries.Panel().legend(legend.show_legend(True)).tooltip(tooltip)
