"""The log of deliveries (D6, D11): the same under duplicates and replays, and each state with its reason (H8)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.recording.projections import LoggedDelivery, apply_deliveries
from shared import events
from tests.unit.history.delivery_scenarios import DeliveryScenario
from tests.unit.history.scenarios import RunScenario

STEPS = ("started", "attempt_failed", "handed_back", "completed", "failed", "cancelled", "retried")


def log_of(batch: Sequence[events.Event]) -> tuple[LoggedDelivery, set[Any], set[str]]:
    """Return the delivery after these events, its timeline and its files."""
    known: dict[UUID, LoggedDelivery] = {}
    changes, _ = apply_deliveries(known, batch)  # type: ignore[arg-type]
    (delivery,) = known.values()
    return (
        delivery,
        {(each.token, each.seq, each.kind) for each in changes.entries},
        {name for _, name in changes.files},
    )


@pytest.mark.parametrize(
    ("steps", "state", "reason"),
    [
        ([], "pending", None),
        (["started"], "delivering", None),
        (["started", "attempt_failed"], "pending", "unreachable"),
        (["started", "handed_back"], "pending", None),
        (["started", "attempt_failed", "started", "completed"], "delivered", None),
        (["started", "failed"], "failed", "conflict"),
        (["cancelled"], "cancelled", "requested"),
        (["started", "failed", "retried"], "pending", None),
        (["started", "cancelled", "retried", "started", "completed"], "delivered", None),
    ],
)
def test_D6_each_event_leaves_the_delivery_in_its_state_with_its_reason(
    steps: list[str], state: str, reason: str | None
) -> None:
    scenario = DeliveryScenario(RunScenario()).created()
    for step in steps:
        getattr(scenario, step)()
    delivery, entries, _ = log_of(scenario.everything)
    assert (delivery.state, delivery.code) == (state, reason)
    assert (delivery.ended_at is not None) is (state in {"delivered", "failed", "cancelled"})
    assert len(entries) == len(steps) + 1


def test_D11_a_delivered_run_has_its_files_and_the_manifest() -> None:
    scenario = DeliveryScenario(RunScenario()).created().started().file("a")
    scenario.started().file("a", sent=False).file("b").file("manifest.json").completed()
    delivery, _, files = log_of(scenario.everything)
    assert files == {"a", "b", "manifest.json"}
    assert (delivery.destination_name, delivery.bytes_sent, delivery.manifest) == ("Data lake", 310, "p/manifest.json")


@given(st.lists(st.sampled_from(STEPS), max_size=10), st.data())
def test_H8_duplicates_and_replays_leave_the_log_as_it_was(steps: list[str], data: st.DataObject) -> None:
    scenario = DeliveryScenario(RunScenario()).created()
    for number, step in enumerate(steps):
        getattr(scenario.file(f"file-{number}"), step)()
    again = data.draw(st.lists(st.sampled_from(scenario.everything), max_size=8))
    expected = log_of(scenario.everything)
    assert log_of([*scenario.everything, *again]) == expected
    assert log_of([*scenario.everything, *scenario.everything]) == expected
