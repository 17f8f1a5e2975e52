"""The dashboards are up to date and query only metrics that exist."""

import json

import pytest

from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.panels import SOURCE, Dashboard, render
from tests.unit.deploy.documents import DEPLOY, load
from tests.unit.deploy.expressions import find_metrics, known_metrics

FOLDER = DEPLOY / "grafana/provisioned"


def test_every_dashboard_has_a_file_and_every_file_a_dashboard() -> None:
    assert {path.stem for path in FOLDER.glob("*")} == {each.name for each in DASHBOARDS}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_dashboards_are_up_to_date(dashboard: Dashboard) -> None:
    assert (FOLDER / f"{dashboard.name}.json").read_text(encoding="utf-8") == render(dashboard), (
        "run: python -m deploy.grafana"
    )


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_every_expression_queries_metrics_that_exist(dashboard: Dashboard) -> None:
    expressions = [query.expr for row in dashboard.rows for panel in row.panels for query in panel.queries]
    assert {
        each: find_metrics(each) - known_metrics() for each in expressions if find_metrics(each) - known_metrics()
    } == {}
    assert [each for each in expressions if not find_metrics(each)] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_panels_do_not_overlap(dashboard: Dashboard) -> None:
    panels = json.loads(render(dashboard))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken
        assert max(columns) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_data_source_of_the_dashboards_is_provisioned() -> None:
    sources = load(DEPLOY / "grafana/provisioning/datasources/sluice.yml")["datasources"]
    assert [(each["type"], each["uid"]) for each in sources] == [(SOURCE.type_val, SOURCE.uid)]
