"""The dashboards are what their source says, and ask for metrics that exist."""

import json

import pytest

from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.panels import SOURCE, Dashboard, render
from tests.unit.deploy.documents import DEPLOY, load
from tests.unit.deploy.expressions import asked, known

FOLDER = DEPLOY / "grafana/provisioned"


def test_there_is_a_file_for_each_dashboard_and_no_other() -> None:
    assert {path.stem for path in FOLDER.glob("*")} == {each.name for each in DASHBOARDS}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_dashboards_are_up_to_date(dashboard: Dashboard) -> None:
    assert (FOLDER / f"{dashboard.name}.json").read_text(encoding="utf-8") == render(dashboard), (
        "run: python -m deploy.grafana"
    )


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_every_expression_asks_for_metrics_that_exist(dashboard: Dashboard) -> None:
    expressions = [query.expr for row in dashboard.rows for panel in row.panels for query in panel.queries]
    assert {each: asked(each) - known() for each in expressions if asked(each) - known()} == {}
    assert [each for each in expressions if not asked(each)] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_panels_have_places_of_their_own(dashboard: Dashboard) -> None:
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


def test_dashboards_are_provisioned_with_the_source_that_they_name() -> None:
    sources = load(DEPLOY / "grafana/provisioning/datasources/sluice.yml")["datasources"]
    assert [(each["type"], each["uid"]) for each in sources] == [(SOURCE.type_val, SOURCE.uid)]
