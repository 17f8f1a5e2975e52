"""S12: instants from 1970-01-01 to 2999-12-31 UTC are accepted, after conversion, and no others."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.domain.windows import resolve_window
from shared.codec import Received, decode, encode, list_instants
from shared.errors import InvalidMessage
from shared.events import Event, Schedule, Timeframe
from shared.http.values import Instant
from shared.instants import EARLIEST, LATEST, OUT_OF_BOUNDS, clamp, is_accepted
from shared.timetable import find_next_slot
from tests.contract.samples import AT, samples

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
OUTSIDE = ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "3000-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        *((text, False) for text in OUTSIDE),
        ("1970-01-01T00:00:00Z", True),
        ("2999-12-31T23:59:59.999999Z", True),
        ("1970-01-01T00:30:00+01:00", False),
        ("1969-12-31T23:30:00-01:00", True),
        ("3000-01-01T00:30:00+01:00", True),
        ("2999-12-31T23:30:00-01:00", False),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59-12:00", False),
        ("2026-11-24T10:00:00", False),
    ],
)
def test_S12_an_instant_is_judged_after_conversion_to_utc(text: str, accepted: bool) -> None:
    assert is_accepted(datetime.fromisoformat(text)) is accepted
    if accepted:
        assert INSTANT.validate_python(text).tzinfo is UTC
    else:
        with pytest.raises(ValidationError, match=OUT_OF_BOUNDS if datetime.fromisoformat(text).tzinfo else "timezone"):
            INSTANT.validate_python(text)


def list_event_instants() -> Iterator[tuple[Event, str]]:
    for event in samples():
        for path in list_instants(type(event)):
            yield event, path


@pytest.mark.parametrize(
    ("event", "path"),
    list(list_event_instants()),
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_S12_an_event_with_an_instant_out_of_bounds_is_refused(event: Event, path: str) -> None:
    record = encode(event, source="test", at=AT)
    for text in (*OUTSIDE, "2026-11-24T10:00:00"):
        assert record.value is not None
        value = json.loads(record.value)
        holder = value
        *outer, last = path.split(".")
        for name in outer:
            holder = holder[name]
        holder[last] = text
        changed = Received(record.topic, 0, 0, record.key, json.dumps(value).encode(), record.headers)
        with pytest.raises(InvalidMessage, match=f"{path} {OUT_OF_BOUNDS}"):
            decode(changed)


@pytest.mark.parametrize("kind", ["hourly", "daily", "weekly", "monthly"])
def test_S12_no_slot_is_later_than_the_last_accepted_instant(kind: str) -> None:
    schedule = Schedule(kind=kind, start=datetime(2999, 12, 1, tzinfo=UTC))  # type: ignore[arg-type]
    slot: datetime | None = datetime(2999, 12, 1, tzinfo=UTC)
    while slot is not None:
        assert slot <= LATEST
        slot = find_next_slot(schedule, slot)


@pytest.mark.parametrize("unit", ["hours", "days", "weeks", "months"])
def test_S12_a_moving_window_that_begins_before_all_instants_has_no_lower_bound(unit: str) -> None:
    timeframe = Timeframe(kind="last", count=10_000, unit=unit)  # type: ignore[arg-type]
    for slot in (EARLIEST, EARLIEST + timedelta(days=400)):
        assert resolve_window(timeframe, slot, None).start is None
    recent = resolve_window(replace(timeframe, count=1), datetime(2026, 3, 31, tzinfo=UTC), None)
    assert recent.start is not None


def test_S12_a_certificate_without_an_end_is_shown_with_the_last_accepted_instant() -> None:
    assert clamp(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)) == LATEST
    assert clamp(datetime(1950, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == EARLIEST
    assert clamp(AT) == AT
