"""Every series that an alert watches exists from the start, and the side that can fix a failure is known."""

import re

import pytest

from exporter.delivery import outcome as delivery_outcome
from exporter.delivery import transfer
from exporter.runs import counting
from job_api.pages.runs.descriptions import ADVICE
from scheduler import auditor
from shared.kafka.handling import DeadLetterWriter
from shared.lifecycle import LoopSupervisor
from shared.observe import RUNS_ENDED, render_metrics
from shared.topics import CONSUMER_GROUPS
from tests.unit.deploy.documents import rules

LOADED = (counting, delivery_outcome, transfer, auditor)


def exposition() -> str:
    return render_metrics()[0].decode()


@pytest.mark.parametrize("code", sorted(ADVICE))
def test_R5_each_failure_has_a_series_before_it_happens(code: str) -> None:
    fault = counting.find_fault(code)
    assert f'sluice_runs_ended_total{{fault="{fault}",reason="{code}",state="failed"}}' in exposition()


def test_the_customers_mistakes_are_not_the_operators() -> None:
    assert set(ADVICE) == counting.CUSTOMERS | counting.OPERATORS
    assert not counting.CUSTOMERS & counting.OPERATORS
    assert {"no-certificate", "source-access-refused", "certificate-expired"} <= counting.CUSTOMERS
    assert {"store-unavailable", "internal", "source-number-mismatch"} <= counting.OPERATORS
    assert counting.find_fault("a code of a later release") == "operator"


def test_a_failure_is_counted_under_its_fault() -> None:
    def read(code: str, fault: str) -> float:
        return float(RUNS_ENDED.labels("failed", code, fault)._value.get())

    before = read("no-certificate", "customer"), read("internal", "operator")
    counting.count_failure("no-certificate")
    counting.count_failure("internal")
    assert (read("no-certificate", "customer"), read("internal", "operator")) == (before[0] + 1, before[1] + 1)


def test_every_labelled_counter_of_an_alert_has_its_series_from_the_start() -> None:
    """A counter that appears with its first failure has no rate then: one failure after each daily start is missed."""

    async def loop(_: object) -> None:
        raise AssertionError

    LoopSupervisor("test", loop)
    for group in CONSUMER_GROUPS:
        DeadLetterWriter(None, group=group.name, notes=None)  # type: ignore[arg-type]  # nothing is written
    text = exposition()
    watched = {
        name
        for rule in rules()
        if "alert" in rule
        for name in re.findall(r"(?:increase|rate)\((sluice_\w+_total)", rule["expr"])
    }
    assert len(watched) > 5
    assert [name for name in sorted(watched) if not re.search(rf"^{name}[{{ ]", text, re.MULTILINE)] == []
    for group in CONSUMER_GROUPS:
        for topic in group.topics:
            assert f'sluice_dead_letters_total{{group="{group.name}",topic="{topic.name}"}}' in text
