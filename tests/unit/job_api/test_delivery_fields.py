"""The editor's fields about delivery (D4, D6, D10): what is shown is what is saved, and no error is lost."""

from uuid import UUID

import pytest

from job_api.pages.jobs.delivery_fields import BLANK, parse_delivery, to_values
from shared.events import DeliverySettings

LAKE, ARCHIVE = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    "delivery",
    [
        None,
        DeliverySettings(destinations=(LAKE,)),
        DeliverySettings(
            destinations=(LAKE, ARCHIVE), template="{type}/{run}/{file}", overwrite=True, within_hours=48, keep_days=0
        ),
    ],
)
def test_D4_a_delivery_comes_back_from_the_form_as_it_was(delivery: DeliverySettings | None) -> None:
    errors: dict[str, str] = {}
    assert parse_delivery(to_values(delivery), errors) == delivery
    assert errors == {}


@pytest.mark.parametrize(
    ("changes", "at_fault"),
    [
        ({"destinations": "not-an-id"}, "destinations"),
        ({"within_hours": "0"}, "within_hours"),
        ({"within_hours": "soon"}, "within_hours"),
        ({"within_hours": "9" * 5_000}, "within_hours"),
        ({"keep_days": "31"}, "keep_days"),
        ({"keep_days": "-1"}, "keep_days"),
    ],
)
def test_D6_D10_a_field_that_cannot_be_read_is_reported_next_to_it(changes: dict[str, str], at_fault: str) -> None:
    errors: dict[str, str] = {}
    parse_delivery(BLANK | {"destinations": str(LAKE)} | changes, errors)
    assert list(errors) == [at_fault]


def test_D4_without_a_ticked_box_the_other_fields_mean_nothing() -> None:
    errors: dict[str, str] = {}
    assert parse_delivery(BLANK | {"within_hours": "soon"}, errors) is None
    assert errors == {}
