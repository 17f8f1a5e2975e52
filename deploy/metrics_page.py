"""Writes the page of all metrics from their definitions: `python -m deploy.metrics_page > deploy/METRICS.md`."""

import sys
from typing import Protocol, runtime_checkable

from shared import observe

INTRODUCTION = """\
# Metrics

Every process serves these at `/metrics`, together with those of Prometheus' Python client about the process itself
(`process_*`, `python_*`). They are defined in `shared/observe.py`; this page is generated from there with
`python -m deploy.metrics_page > deploy/METRICS.md`, and a test compares the two. A process reports the metrics of its
own work; the others are zero or absent. Histograms append `_bucket`, `_sum` and `_count` to their names.

| name | type | labels | meaning |
|---|---|---|---|
"""

LABELS_HEAD = """
## Labels

No label contains the id of a job, a run, a tenant or a user, so the number of series does not grow with use.

| label | values |
|---|---|
"""

LABELS = {
    "class": "`transient` (another attempt may help) or `permanent`",
    "code": "codes of a failed attempt: those of `exporter/errors.py` and `shared/certificates.py`, "
    "`worker-died`, `internal`",
    "days": "`0`, `1`, `7`, `30`",
    "difference": "how the slot ledger differs from the schedules: a fixed list of the auditor",
    "fate": "`triggered`, `skipped`",
    "fault": "of failed runs: `customer` (recipients, the source's login or views, a job's settings) or `operator`",
    "form": "of bytes: `raw` (records) or `packed` (files); of downloads: `file`, `archive`, `link`",
    "group": "Kafka consumer groups, one for each kind of process",
    "how": "`sent` now, or already `present` at the destination",
    "kind": "of records: `interaction`, `contact`, `attachment`; of destinations: `s3`, `gcs`, `azure`, `sftp`",
    "loop": "the loops of a process, a fixed list",
    "method": "HTTP methods",
    "outcome": "what the recorder did with an event: applied, superseded or ignored; a fixed list",
    "phase": "phases of a run, a fixed list",
    "reason": "reasons for a slot's fate or a run's end, from the event contract; why a partition waits: "
    "`unavailable`, `unreadable`, `unexpected`; which limit refused a request: `malformed`, `timed-out`, "
    "`body-too-large`, `too-many`, `head-too-large`, `busy`",
    "result": "`passed` or `failed`",
    "route": "route templates (`/api/v1/jobs/{job_id}`), never addresses; `none` when no route matches",
    "service": "`job-api`, `scheduler`, `exporter`, `history`",
    "state": "final states of a run or delivery",
    "status": "HTTP status codes",
    "topic": "the topics of `shared/topics.py`",
    "way": "where the records' JSON is built: `native` (the exporter) or `server` (the source)",
    "what": "the kind of work taken over: `run`, `slice` or `delivery`",
}


class Description(Protocol):
    """The name, type and meaning of a metric, as its class in the client has them."""

    name: str
    type: str
    documentation: str


@runtime_checkable
class Metric(Protocol):
    """A metric as it is defined."""

    _labelnames: tuple[str, ...]

    def describe(self) -> list[Description]:
        """Return the metric's description as the only item of a list."""


def collect_metrics() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Return the type, labels and meaning of every metric, by its name in Prometheus."""
    found = {}
    for metric in vars(observe).values():
        if isinstance(metric, Metric):
            description = metric.describe()[0]
            name = description.name + ("_total" if description.type == "counter" else "")
            labels = metric._labelnames  # noqa: SLF001 - the client has no public way to list labels
            found[name] = description.type, labels, description.documentation
    return dict(sorted(found.items()))


def render_page() -> str:
    """Return the page as Markdown. Raises KeyError for a label without a description in `LABELS`."""
    declared = collect_metrics()
    rows = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {meaning} |"
        for name, (kind, labels, meaning) in declared.items()
    ]
    used = sorted({label for _, labels, _ in declared.values() for label in labels})
    described = [f"| `{label}` | {LABELS[label]} |" for label in used]
    return INTRODUCTION + "\n".join(rows) + "\n" + LABELS_HEAD + "\n".join(described) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render_page())
