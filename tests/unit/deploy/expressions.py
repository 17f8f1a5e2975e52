"""The metrics that PromQL expressions query, and those that exist."""

import re
from functools import cache

from deploy.metrics_page import collect_metrics
from tests.unit.deploy.documents import rules

PROCESS = {
    "up",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
}
_STRINGS_AND_RANGES = re.compile(r'"[^"]*"|\[[^\]]*\]')
_NAMES = re.compile(r"\b(sluice[_:][a-z0-9_:]+|up|process_[a-z_]+)\b")


def find_metrics(expression: str) -> set[str]:
    """Return the names of metrics and recorded series in an expression."""
    return set(_NAMES.findall(_STRINGS_AND_RANGES.sub(" ", expression)))


@cache
def known_metrics() -> set[str]:
    """Return all names that a rule or panel may query: those that processes expose and those that rules record."""
    names = set(PROCESS)
    for name, (kind, _, _) in collect_metrics().items():
        names |= {name + suffix for suffix in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return names | {rule["record"] for rule in rules() if "record" in rule}
