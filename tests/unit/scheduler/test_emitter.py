"""Events assembled from encoded parts equal the codec's, byte for byte."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as some

from scheduler.domain import MICROSECOND, Decision, Skip, Trigger, create_version
from scheduler.emitter import SOURCE, Emitter, to_settings_json
from shared import codec, events
from shared.events.values import Schedule, Timeframe
from shared.outbox import select_shard, unpack_headers
from shared.timetable import derive_run_id
from tests.unit.scheduler.memory import job

instants = some.integers(0, 10**15).map(lambda number: datetime(1990, 1, 1, tzinfo=UTC) + number * MICROSECOND)
slots = instants.map(lambda instant: instant.replace(microsecond=0))
frozen = some.builds(
    events.JobSettings,
    title=some.text(max_size=40),
    source=some.just("contact_history"),
    type=some.sampled_from(["interaction", "contact"]),
    source_tenant=some.integers(1, 10**6),
    timeframe=some.builds(
        Timeframe, kind=some.just("fixed"), start=instants, end=instants, count=some.none(), unit=some.none()
    ),
    media_types=some.none() | some.lists(some.text(max_size=9), max_size=3).map(tuple),
    certificates=some.none() | some.lists(some.uuids(), max_size=3).map(tuple),
)
decisions = some.builds(Trigger, slots, some.sampled_from(["schedule", "immediate", "catch-up"])) | some.builds(
    Skip, slots, some.sampled_from(["suspended", "missed", "ended"])
)


@given(frozen, decisions, instants, some.uuids(), some.integers(1, 10**9), some.sampled_from(["skip", "queue"]))
def test_S11_rows_equal_the_codec_s(
    settings: events.JobSettings, decision: Decision, now: datetime, job_id: UUID, version: int, overlap: str
) -> None:
    saved = job(
        Schedule(kind="daily", start=now), now, job_id=job_id, version=version, overlap=overlap, settings=settings
    )
    run_id = derive_run_id(job_id, decision.slot)
    row = Emitter(now).to_row(create_version(saved, to_settings_json(settings), None), decision, str(run_id))
    record = codec.encode(to_event(saved, decision, run_id, now), source=SOURCE, at=now)
    assert row[:4] == (select_shard(record.key), record.topic, record.key, record.value)
    found, wanted = dict(unpack_headers(row[4])), dict(record.headers)
    assert list(found) == list(wanted)
    for name in set(wanted) - {"ce_id", "traceparent"}:
        assert found[name] == wanted[name]


def to_event(
    saved: events.JobSaved, decision: Decision, run_id: UUID, now: datetime
) -> events.SlotTriggered | events.SlotSkipped:
    if isinstance(decision, Trigger):
        return events.SlotTriggered(
            job_id=saved.job_id,
            tenant_id=saved.tenant_id,
            run_id=run_id,
            slot=decision.slot,
            cause=decision.reason,
            job_version=saved.version,
            settings=saved.settings,
            overlap=saved.overlap,
            triggered_at=now,
        )
    return events.SlotSkipped(
        job_id=saved.job_id,
        tenant_id=saved.tenant_id,
        run_id=run_id,
        slot=decision.slot,
        reason=decision.reason,
        job_version=saved.version,
        skipped_at=now,
    )
