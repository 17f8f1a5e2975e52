"""What `dashboards.py` is written in: rows of panels, each with its expressions; made Grafana's JSON by its SDK."""

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


def rendered(shown: Dashboard) -> str:
    """Return a dashboard as Grafana's JSON."""
    tagged = (
        dashboard.DashboardLink("Sluice")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["sluice"])
        .as_dropdown(True)
        .keep_time(True)
    )
    made = dashboard.Dashboard(shown.title).uid(f"sluice-{shown.name}").tags(["sluice"]).link(tagged)
    # Schedules are in UTC, and so are their pictures.
    made = made.timezone("utc").refresh("30s").time("now-6h", "now")
    number = 0
    for row in shown.rows:
        number += 1
        made = made.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made = made.with_panel(_panel(panel).id(number).span(COLUMNS // len(row.panels)).height(HEIGHT))
    return JSONEncoder(indent=2, sort_keys=True).encode(made.build()) + "\n"


def _panel(panel: Panel) -> timeseries.Panel | stat.Panel:
    made = _stat() if panel.kind == "stat" else _timeseries()
    steps = [Threshold(value=None, color="green")]
    if panel.bad_from is not None:
        steps.append(Threshold(value=panel.bad_from, color="red"))
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    made = made.title(panel.title).description(panel.says).unit(panel.unit).min(0).thresholds(thresholds)
    made = made.datasource(SOURCE)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).datasource(SOURCE)
        made = made.with_target(target.ref_id(chr(ord("A") + number)))
    return made


def _stat() -> stat.Panel:
    latest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(latest).color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.AREA)


def _timeseries() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    return timeseries.Panel().legend(legend.show_legend(True)).tooltip(tooltip)
