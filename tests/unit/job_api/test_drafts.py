"""The rules of a job's fields, as tables: J1, J2, S1, S4 to S6, T1, T2, P1, P3."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from job_api.domain import Draft, DraftContext, ScheduleDraft, TenantCertificate, validate_draft
from job_api.domain.schedules import describe_schedule
from job_api.errors import InvalidInput, OperationRefused
from shared.events import Schedule, Timeframe
from shared.http.problems import ProblemType
from shared.instants import OUT_OF_BOUNDS

NOW = datetime(2026, 11, 24, 10, 30, 15, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
GOOD, RETIRED, EXPIRED, EARLY = (UUID(int=number) for number in range(1, 5))


def certificate(
    name: str, *, active: bool = True, begins: timedelta = -DAY, ends: timedelta = DAY
) -> TenantCertificate:
    return TenantCertificate(name=name, active=active, not_before=NOW + begins, not_after=NOW + ends)


CONTEXT = DraftContext(
    now=NOW,
    source_tenant=7,
    media_types=("email", "chat"),
    certificates={
        GOOD: certificate("good"),
        RETIRED: certificate("retired", active=False),
        EXPIRED: certificate("expired", ends=timedelta(microseconds=-1)),
        EARLY: certificate("early", begins=timedelta(seconds=1)),
    },
)
DAILY = ScheduleDraft(kind="daily", start=NOW + DAY)
DRAFT = Draft(title="Nightly", source="contact_history", type="interaction", schedule=DAILY)


def faults(draft: Draft, context: DraftContext = CONTEXT) -> set[str]:
    try:
        validate_draft(draft, context)
    except InvalidInput as error:
        return {fault.field for fault in error.faults}
    return set()


@pytest.mark.parametrize(
    ("changes", "at_fault"),
    [
        ({}, set()),
        ({"title": ""}, {"title"}),
        ({"title": " \t "}, {"title"}),
        ({"title": "x" * 200}, set()),
        ({"title": " " + "x" * 200 + " "}, set()),
        ({"title": "x" * 201}, {"title"}),
        ({"title": "two\nlines"}, {"title"}),
        ({"title": "nul\0"}, {"title"}),
        ({"title": "Ärger mit 🦊"}, set()),
        ({"description": "x" * 2000}, set()),
        ({"description": "x" * 2001}, {"description"}),
        ({"description": "two\nlines"}, set()),
        ({"description": "nul\0"}, {"description"}),
        ({"source": "elsewhere"}, {"source"}),
        ({"media_types": ("email",)}, set()),
        ({"media_types": ("email", "chat")}, set()),
        ({"media_types": ()}, {"media_types"}),
        ({"media_types": ("email", "email")}, {"media_types"}),
        ({"media_types": ("email", "fax")}, {"media_types"}),
        ({"type": "contact"}, set()),
        ({"type": "contact", "media_types": ("email",)}, {"media_types"}),
        ({"attempts": 0}, {"attempts"}),
        ({"attempts": 21}, {"attempts"}),
    ],
)
def test_J1_fields(changes: dict[str, Any], at_fault: set[str]) -> None:
    assert faults(replace(DRAFT, **changes)) == at_fault


def test_J1_title_and_description_are_trimmed() -> None:
    valid = validate_draft(replace(DRAFT, title="  Nightly ", description=" for us\n"), CONTEXT)
    assert (valid.settings.title, valid.description, valid.settings.source_tenant) == ("Nightly", "for us", 7)


def test_J2_info_mart_is_refused_with_its_own_problem_type() -> None:
    with pytest.raises(OperationRefused) as refused:
        validate_draft(replace(DRAFT, source="info_mart"), CONTEXT)
    kind = refused.value.kind
    assert (kind, ProblemType.from_name(kind).status) == ("source-not-offered", 422)


@pytest.mark.parametrize(
    ("size", "good"), [(None, True), (1 << 20, True), ((1 << 20) - 1, False), (0, False), (-1, False), (1 << 51, False)]
)
def test_P1_a_file_has_a_mebibyte_or_more(size: int | None, *, good: bool) -> None:
    assert faults(replace(DRAFT, split_size=size)) == (set() if good else {"split_size"})


@pytest.mark.parametrize(
    ("schedule", "at_fault"),
    [
        ({"kind": "once", "immediately": True}, set()),
        ({"kind": "once", "start": NOW + DAY}, set()),
        ({"kind": "once", "start": NOW + DAY, "every": 2}, {"schedule.every"}),
        ({"kind": "once"}, {"schedule.start"}),
        ({"kind": "hourly", "immediately": True, "every": 24}, set()),
        ({"kind": "hourly", "immediately": True, "every": 25}, {"schedule.every"}),
        ({"kind": "hourly", "immediately": True, "every": 0}, {"schedule.every"}),
        ({"kind": "daily", "immediately": True, "every": 25}, set()),
        ({"kind": "weekly", "immediately": True, "every": 1}, set()),
        ({"kind": "monthly", "immediately": True, "every": -1}, {"schedule.every"}),
        ({"kind": "monthly", "immediately": True, "every": 10_001}, {"schedule.every"}),
        ({"kind": "daily", "immediately": True, "start": NOW + DAY}, {"schedule.start"}),
        ({"kind": "daily", "start": NOW + 40_000 * DAY}, {"schedule.start"}),
    ],
)
def test_S1_schedules(schedule: dict[str, Any], at_fault: set[str]) -> None:
    assert faults(replace(DRAFT, schedule=ScheduleDraft(**schedule))) == at_fault


def test_S4_an_immediate_start_is_anchored_at_the_second_of_saving() -> None:
    valid = validate_draft(replace(DRAFT, schedule=ScheduleDraft(kind="weekly", immediately=True, every=2)), CONTEXT)
    assert valid.schedule == Schedule(kind="weekly", start=NOW.replace(microsecond=0), immediately=True, every=2)


@pytest.mark.parametrize("kind", ["hourly", "daily", "weekly", "monthly"])
def test_S5_a_start_in_the_past_is_the_anchor_of_a_repeated_job(kind: Any) -> None:
    valid = validate_draft(replace(DRAFT, schedule=ScheduleDraft(kind=kind, start=NOW - DAY)), CONTEXT)
    assert valid.schedule.start == (NOW - DAY).replace(microsecond=0)


@pytest.mark.parametrize("start", [NOW, NOW - DAY])
def test_S5_a_start_in_the_past_is_refused_for_once(start: datetime) -> None:
    assert faults(replace(DRAFT, schedule=ScheduleDraft(kind="once", start=start))) == {"schedule.start"}


@pytest.mark.parametrize("kind", ["once", "daily"])
def test_S6_a_naive_start_is_refused(kind: Any) -> None:
    schedule = ScheduleDraft(kind=kind, start=datetime(2027, 1, 1))  # noqa: DTZ001 (that is the point)
    assert faults(replace(DRAFT, schedule=schedule)) == {"schedule.start"}


@pytest.mark.parametrize(
    ("timeframe", "at_fault"),
    [
        ({"kind": "all"}, set()),
        ({"kind": "since_last_run"}, set()),
        ({"kind": "all", "count": 1}, {"timeframe.count"}),
        ({"kind": "since_last_run", "start": NOW}, {"timeframe.start"}),
        ({"kind": "fixed", "start": NOW - DAY, "end": NOW}, set()),
        ({"kind": "fixed", "start": NOW, "end": NOW}, {"timeframe.end"}),
        ({"kind": "fixed", "start": NOW, "end": NOW - DAY}, {"timeframe.end"}),
        ({"kind": "fixed", "start": NOW}, {"timeframe.end"}),
        ({"kind": "fixed"}, {"timeframe.start", "timeframe.end"}),
        ({"kind": "fixed", "start": NOW.replace(tzinfo=None), "end": NOW}, {"timeframe.start"}),
        ({"kind": "last", "count": 3, "unit": "weeks"}, set()),
        ({"kind": "last", "count": 0, "unit": "weeks"}, {"timeframe.count"}),
        ({"kind": "last", "count": 10_001, "unit": "hours"}, {"timeframe.count"}),
        ({"kind": "last", "count": 1}, {"timeframe.unit"}),
        ({"kind": "last", "count": 1, "unit": "days", "end": NOW}, {"timeframe.end"}),
    ],
)
def test_T1_T2_timeframes(timeframe: dict[str, Any], at_fault: set[str]) -> None:
    assert faults(replace(DRAFT, timeframe=Timeframe(**timeframe))) == at_fault


@pytest.mark.parametrize(
    ("certificates", "at_fault"),
    [
        (None, set()),
        ((GOOD,), set()),
        ((), {"certificates"}),
        ((GOOD, GOOD), {"certificates"}),
        ((GOOD, RETIRED), {"certificates.1"}),
        ((EXPIRED, EARLY), {"certificates.0", "certificates.1"}),
        ((UUID(int=9),), {"certificates.0"}),
    ],
)
def test_P3_unusable_certificates_are_refused_at_saving(
    certificates: tuple[UUID, ...] | None, at_fault: set[str]
) -> None:
    assert faults(replace(DRAFT, certificates=certificates)) == at_fault


def test_P3_without_a_usable_certificate_only_an_immediate_start_is_refused() -> None:
    unusable = replace(CONTEXT, certificates={EXPIRED: certificate("expired", ends=timedelta(microseconds=-1))})
    assert faults(replace(DRAFT, schedule=ScheduleDraft(kind="once", immediately=True)), unusable) == {"certificates"}
    assert faults(DRAFT, unusable) == set()


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"kind": "once", "immediately": True}, "once, immediately"),
        ({"kind": "once"}, "once, 2027-01-31 at 06:05 UTC"),
        ({"kind": "hourly", "every": 4}, "every 4 hours from 00:00 UTC"),
        ({"kind": "hourly"}, "every hour on the hour, UTC"),
        ({"kind": "daily"}, "every day at 06:05 UTC"),
        ({"kind": "daily", "every": 3}, "every 3 days at 06:05 UTC"),
        ({"kind": "weekly"}, "every Sunday at 06:05 UTC"),
        ({"kind": "weekly", "every": 2}, "every 2 weeks on Sunday at 06:05 UTC"),
        ({"kind": "monthly"}, "every month on day 31 at 06:05 UTC"),
    ],
)
def test_J3_schedules_in_words(schedule: dict[str, Any], words: str) -> None:
    assert describe_schedule(Schedule(**schedule, start=datetime(2027, 1, 31, 6, 5, tzinfo=UTC))) == words


@pytest.mark.parametrize("outside", [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_S12_a_start_before_all_accepted_instants_is_a_fault_with_the_sentence(outside: datetime) -> None:
    timeframe = Timeframe(kind="fixed", start=outside, end=NOW)
    later = Timeframe(kind="fixed", start=NOW, end=datetime(3000, 1, 1, tzinfo=UTC))
    assert faults(replace(DRAFT, schedule=replace(DAILY, start=outside))) == {"schedule.start"}
    assert faults(replace(DRAFT, timeframe=timeframe)) == {"timeframe.start"}
    assert faults(replace(DRAFT, timeframe=later)) == {"timeframe.end"}
    with pytest.raises(InvalidInput) as refused:
        validate_draft(replace(DRAFT, timeframe=timeframe), CONTEXT)
    assert [fault.message for fault in refused.value.faults] == [OUT_OF_BOUNDS]
