"""Writes the dashboards as Grafana provisions them: `python -m deploy.grafana`."""

from pathlib import Path

from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.panels import render

FOLDER = Path(__file__).with_name("provisioned")


def main() -> None:
    """Write each dashboard to its file."""
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.name}.json").write_text(render(dashboard), encoding="utf-8")


if __name__ == "__main__":
    main()
