"""Writes the page of all metrics from their declarations: `python -m deploy.metrics_page > deploy/METRICS.md`."""

import sys
from typing import Protocol, runtime_checkable

from shared import observe

INTRODUCTION = """\
# Metrics

Every process serves these at `/metrics`, next to what Prometheus' Python client tells of the process itself
(`process_*`, `python_*`). All of them are declared in `shared/observe.py`; this page is made from there with
`python -m deploy.metrics_page > deploy/METRICS.md`, and a test compares the two. A process shows the metrics of what it
does; the others stand at zero or are absent. Histograms add `_bucket`, `_sum` and `_count` to their name.

| name | type | labels | meaning |
|---|---|---|---|
"""

LABELS_HEAD = """
## Labels

No label ever holds the id of a job, a run, a tenant or a person: the number of series does not grow with use.

| label | values |
|---|---|
"""

LABELS = {
    "class": "`transient` (another attempt may help) or `permanent`",
    "code": "codes of a failed attempt: those of `exporter/errors.py` and `exporter/package/recipients.py`, "
    "`worker-died`, `internal`",
    "days": "`0`, `1`, `7`, `30`",
    "difference": "how ledger and schedule differ: the auditor's fixed list",
    "fate": "`triggered`, `skipped`",
    "form": "of bytes: `raw` (records) or `packed` (files); of downloads: `file`, `archive`, `link`",
    "group": "consumer groups of Kafka, one for each kind of process",
    "kind": "`interaction`, `contact`, `attachment`",
    "method": "HTTP methods",
    "outcome": "what became of an event: applied, superseded or ignored; a fixed list",
    "phase": "phases of a run, a fixed list",
    "reason": "reasons of a slot's fate or a run's end, from the contract of events",
    "route": "templates of routes (`/api/v1/jobs/{job_id}`), never addresses; `none` for what no route matches",
    "service": "`job-api`, `scheduler`, `exporter`, `history`",
    "state": "states in which a run ends",
    "status": "HTTP status codes",
    "topic": "the topics of `shared/topics.py`",
    "way": "who makes the records' JSON: `native` (the exporter) or `server` (the source)",
    "what": "what was taken over: `run` or `slice`",
}


class Described(Protocol):
    """What a metric says of itself; the client's own class has it, under names of which the labels' is private."""

    name: str
    type: str
    documentation: str


@runtime_checkable
class Declared(Protocol):
    """A metric as it is declared."""

    _labelnames: tuple[str, ...]

    def describe(self) -> list[Described]:
        """Return name, type and meaning, as the one item of a list."""


def metrics() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Return type, labels and meaning of every metric, by the name under which Prometheus stores it."""
    found = {}
    for declared in vars(observe).values():
        if isinstance(declared, Declared):
            described = declared.describe()[0]
            name = described.name + ("_total" if described.type == "counter" else "")
            labels = declared._labelnames  # noqa: SLF001 - the client tells of labels nowhere else
            found[name] = described.type, labels, described.documentation
    return dict(sorted(found.items()))


def page() -> str:
    """Return the page. Raises KeyError for a label that `LABELS` does not describe: say there why it is bounded."""
    declared = metrics()
    rows = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {meaning} |"
        for name, (kind, labels, meaning) in declared.items()
    ]
    used = sorted({label for _, labels, _ in declared.values() for label in labels})
    described = [f"| `{label}` | {LABELS[label]} |" for label in used]
    return INTRODUCTION + "\n".join(rows) + "\n" + LABELS_HEAD + "\n".join(described) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
