"""The page of metrics is up to date, and labels are bounded."""

from deploy import metrics_page
from tests.unit.deploy.documents import DEPLOY

NEVER = {
    "job",
    "job_id",
    "run",
    "run_id",
    "tenant",
    "tenant_id",
    "user",
    "user_id",
    "identity",
    "instance",
    "name",
    "id",
}


def test_the_page_of_metrics_is_up_to_date() -> None:
    committed = (DEPLOY / "METRICS.md").read_text(encoding="utf-8")
    assert committed == metrics_page.render_page(), "run: python -m deploy.metrics_page > deploy/METRICS.md"


def test_metrics_have_the_prefix_of_sluice_and_counters_their_suffix() -> None:
    defined = metrics_page.collect_metrics()
    assert len(defined) > 20
    assert [name for name in defined if not name.startswith("sluice_")] == []
    assert [name for name, (kind, _, _) in defined.items() if name.endswith("_total") != (kind == "counter")] == []
    assert [name for name, (_, _, meaning) in defined.items() if len(meaning) < 10] == []


def test_no_label_contains_an_id() -> None:
    labels = {label for _, labels, _ in metrics_page.collect_metrics().values() for label in labels}
    assert labels & NEVER == set()
    assert labels == set(metrics_page.LABELS), "describe each label in deploy/metrics_page.py: why is it bounded?"
