"""The rules of Prometheus query metrics that exist; every alert has a runbook and is tested."""

import re
from collections import defaultdict
from typing import Any

from tests.unit.deploy.documents import DEPLOY, load, rules
from tests.unit.deploy.expressions import find_metrics, known_metrics

ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
PROCESSES = {"job-api", "scheduler", "exporter", "deliverer", "history-recorder", "history-estimates", "history-api"}


def test_rules_query_only_metrics_that_exist() -> None:
    unknown = {rule.get("alert") or rule["record"]: find_metrics(rule["expr"]) - known_metrics() for rule in rules()}
    assert {name: names for name, names in unknown.items() if names} == {}
    assert all(find_metrics(rule["expr"]) for rule in rules() if "vector(0.0" not in rule["expr"])


def test_every_alert_has_a_severity_a_summary_and_an_existing_runbook() -> None:
    headings = re.findall(r"^### (\w+)$", (DEPLOY / "OPERATIONS.md").read_text(encoding="utf-8"), re.MULTILINE)
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook_url"] == f"deploy/OPERATIONS.md#{name.lower()}", name
    assert sorted(name for name in headings if name.startswith("Sluice")) == sorted(ALERTS)


def test_every_alert_is_tested_firing_and_not_firing() -> None:
    seen: dict[str, set[bool]] = defaultdict(set)
    for file in (DEPLOY / "prometheus/tests").glob("*.yml"):
        for test in load(file)["tests"]:
            for case in test.get("alert_rule_test", []):
                seen[case["alertname"]].add(bool(case["exp_alerts"]))
    assert seen == {name: {True, False} for name in ALERTS}


def test_prometheus_of_compose_scrapes_every_process() -> None:
    config: dict[str, Any] = load(DEPLOY / "prometheus/prometheus.yml")
    jobs = {each["job_name"]: each["dns_sd_configs"][0]["names"] for each in config["scrape_configs"]}
    assert jobs == {f"sluice-{name}": [name] for name in PROCESSES}
