"""Exporters as processes: what becomes of a trigger."""

from dataclasses import replace
from uuid import uuid4

import pytest

from exporter.store.statements import JOB_SETTINGS
from shared import events
from tests.contract.samples import USER, samples
from tests.integration.exporter.conftest import INTERACTIONS, ExportSystem
from tests.support.listener import Listener
from tests.support.system import Service
from tests.support.wait import eventually


@pytest.fixture(scope="module")
async def exporter(exports: ExportSystem) -> Service:
    service = exports.start_exporter("exporter-1")
    await service.wait_ready()
    await exports.publish_certificate()
    await exports.insert_source_number()
    return service


async def test_E3_E7_P5_a_trigger_becomes_files_that_openssl_opens(exports: ExportSystem, exporter: Service) -> None:
    trigger = exports.make_trigger()
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        await exports.system.publish(trigger, trigger)
        received = [await runs.find(lambda _: True)]
        while not isinstance(received[-1], events.RunSucceeded):
            received.append(await runs.find(lambda event: getattr(event, "run_id", None) == trigger.run_id))
    assert [type(event).__name__ for event in received] == [
        "RunQueued",
        "RunStarted",
        "PartFinished",
        "PartFinished",
        "RunSucceeded",
    ]
    numbers = [(event.token, event.seq) for event in received if isinstance(event, events.RunEvent)]
    assert numbers == sorted(set(numbers))
    succeeded = received[-1]
    stated = succeeded.title, succeeded.type, succeeded.slot, succeeded.cause
    assert stated == (trigger.settings.title, trigger.settings.type, trigger.slot, trigger.cause)
    manifest = exports.read_manifest(trigger.run_id)
    assert manifest["snapshot_rows"] == {file.kind: file.rows for file in succeeded.files}
    interactions, attachments = (
        exports.read_records(exports.store / next(file.object for file in succeeded.files if file.kind == kind))
        for kind in ("interaction", "interaction-attachment")
    )
    source = exports.system.databases.dsn(exports.history)
    expected = await count_rows(source, "interaction"), await count_rows(source, "attachment")
    assert (len(interactions), len(attachments)) == expected
    assert 0 < len(interactions) < INTERACTIONS, "another tenant's rows are not exported (E8)"
    assert {record["tenantId"] for record in interactions} == {101}
    ids = [str(record["id"]) for record in interactions]
    assert ids == sorted(ids)
    assert {str(record["entityId"]) for record in attachments} <= set(ids)


async def test_F1_F4_a_filter_selects_records_and_is_in_the_manifest(exports: ExportSystem, exporter: Service) -> None:
    chats = events.FilterCondition(column="mediaTypeId", operator="eq", values=("chat",))
    trigger = exports.make_trigger()
    trigger = replace(trigger, settings=replace(trigger.settings, filter=(chats,)))
    await exports.system.publish(trigger)
    assert await exports.wait_until_ended(trigger.run_id) == "succeeded"
    manifest = exports.read_manifest(trigger.run_id)
    assert manifest["filter"] == [{"column": "mediaTypeId", "operator": "eq", "values": ["chat"], "path": []}]
    source = exports.system.databases.dsn(exports.history)
    chats_in_source = await count_rows(source, "interaction", CHATS)
    files_in_source = await count_rows(source, "attachment", OF_CHATS)
    assert manifest["snapshot_rows"] == {"interaction": chats_in_source, "interaction-attachment": files_in_source}
    assert 0 < chats_in_source < await count_rows(source, "interaction")


CHATS = "media_type_id = 'chat'"
OF_CHATS = f"entity_id IN (SELECT id FROM contact_history.interaction WHERE tenant_id = 101 AND {CHATS})"


async def count_rows(dsn: str, view: str, condition: str = "true") -> int:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        query = f"SELECT count(*) FROM contact_history.{view} WHERE tenant_id = 101 AND {condition}"
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def test_a_run_admitted_before_causes_were_recorded_succeeds_in_version_1(
    exports: ExportSystem, exporter: Service
) -> None:
    trigger = exports.make_trigger()
    await exports.system.fetch("exporter", "INSERT INTO job (job_id) VALUES ($1)", trigger.job_id)
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        await exports.system.fetch(
            "exporter",
            "INSERT INTO run (run_id, job_id, tenant_id, slot, settings, state, queued_at, not_before) "
            "VALUES ($1, $2, $3, $4, $5::text::jsonb, 'queued', now(), now())",
            trigger.run_id,
            trigger.job_id,
            trigger.tenant_id,
            trigger.slot,
            JOB_SETTINGS.dump_json(trigger.settings).decode(),
        )
        success = await runs.find(
            lambda event: (
                isinstance(event, events.RunSucceeded | events.RunSucceededV1) and event.run_id == trigger.run_id
            )
        )
    assert isinstance(success, events.RunSucceededV1)


async def test_H3_progress_is_reported_and_ends_complete(exports: ExportSystem, exporter: Service) -> None:
    trigger = exports.make_trigger()
    async with Listener(exports.system.kafka, "sluice.progress") as progress:
        await exports.system.publish(trigger)
        found = await progress.find(
            lambda event: (
                isinstance(event, events.RunProgressed) and event.run_id == trigger.run_id and event.phase == "store"
            )
        )
    assert isinstance(found, events.RunProgressed)
    assert found.total_exact
    assert found.units_done == found.units_total
    assert await exports.wait_until_ended(trigger.run_id) == "succeeded"


async def test_P3_without_a_certificate_the_run_fails_before_it_reads(exports: ExportSystem, exporter: Service) -> None:
    trigger = exports.make_trigger(tenant=uuid4())
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        await exports.system.publish(trigger)
        failed = await runs.find(lambda event: isinstance(event, events.RunFailed))
    assert isinstance(failed, events.RunFailed)
    assert (failed.run_id, failed.code, failed.attempt) == (trigger.run_id, "no-certificate", 1)
    assert exports.list_objects(trigger.run_id) == []


def make_saved_job(trigger: events.SlotTriggered) -> events.JobSaved:
    """Return the job of a trigger as job-api publishes it."""
    (sample,) = (each for each in samples() if isinstance(each, events.JobSaved))
    return replace(sample, job_id=trigger.job_id, tenant_id=trigger.tenant_id, settings=trigger.settings)


async def test_E8_a_trigger_with_another_tenants_source_number_reads_nothing(
    exports: ExportSystem, exporter: Service
) -> None:
    # As it can be forged with access to sluice.triggers: the attacker's tenant and recipient, the victim's number.
    attacker = uuid4()
    await exports.insert_certificate(attacker, 102)
    forged = exports.make_trigger(tenant=attacker)
    assert forged.settings.source_tenant == 101
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        await exports.system.publish(forged)
        failed = await runs.find(lambda event: isinstance(event, events.RunFailed))
    assert isinstance(failed, events.RunFailed)
    assert (failed.run_id, failed.code, failed.attempt) == (forged.run_id, "source-number-mismatch", 1)
    assert "not this tenant's" in failed.message
    assert exports.list_objects(forged.run_id) == []


async def test_E8_a_run_waits_for_the_word_of_sluice_jobs_on_its_source_number(
    exports: ExportSystem, exporter: Service
) -> None:
    tenant = uuid4()
    trigger = exports.make_trigger(tenant=tenant, source_tenant=103)
    await exports.publish_certificate(tenant)
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        await exports.system.publish(trigger)
        await eventually(lambda: exports.read_state(trigger.run_id))
        await exports.system.publish(make_saved_job(trigger))
        ended = await runs.find(lambda event: isinstance(event, events.RunFailed | events.RunSucceeded))
    assert isinstance(ended, events.RunSucceeded)
    assert ended.run_id == trigger.run_id


async def test_E8_a_job_with_another_tenants_source_number_is_a_dead_letter(
    exports: ExportSystem, exporter: Service
) -> None:
    trigger = exports.make_trigger(tenant=uuid4())
    forged = make_saved_job(trigger)
    async with Listener(exports.system.kafka, "sluice.jobs.dead") as letters:
        await exports.system.publish(forged)
        letter = await letters.record()
    assert any(b"is another tenant's" in (value or b"") for _, value in letter.headers)
    known = await exports.system.fetch(
        "exporter", "SELECT true FROM source_number WHERE tenant_id = $1", forged.tenant_id
    )
    assert known == []


async def test_S9_a_slot_of_a_busy_job_is_skipped_with_an_event(exports: ExportSystem) -> None:
    job = uuid4()
    first = exports.make_trigger(job=job)
    second = replace(first, run_id=uuid4())
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        await exports.system.publish(first, second)
        skipped = await runs.find(lambda event: isinstance(event, events.RunSkipped))
    assert isinstance(skipped, events.RunSkipped)
    assert (skipped.run_id, skipped.reason) == (second.run_id, "overlap")
    assert await exports.wait_until_ended(first.run_id) == "succeeded"
    assert await exports.read_state(second.run_id) == "skipped"


async def test_R6_a_cancellation_before_its_trigger_is_kept(exports: ExportSystem, exporter: Service) -> None:
    trigger = exports.make_trigger()
    cancel = events.CancelRun(
        job_id=trigger.job_id,
        tenant_id=trigger.tenant_id,
        run_id=trigger.run_id,
        reason="requested",
        requested_by=USER,
        requested_at=trigger.triggered_at,
    )
    await exports.system.publish(cancel)
    await eventually(lambda: exports.system.fetch("exporter", "SELECT true FROM early_cancel"))
    await exports.system.publish(trigger)
    assert await exports.wait_until_ended(trigger.run_id) == "cancelled"
    assert exports.list_objects(trigger.run_id) == []


async def test_J9_a_trigger_that_crosses_a_deletion_leaves_no_run_behind(
    exports: ExportSystem, exporter: Service
) -> None:
    trigger = exports.make_trigger()
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        ids = {"job_id": trigger.job_id, "tenant_id": trigger.tenant_id}
        await exports.system.publish(events.JobDeleted(**ids, version=2, deleted_at=trigger.triggered_at))
        deleted = "SELECT true FROM job WHERE job_id = $1 AND deleted"
        await eventually(lambda: exports.system.fetch("exporter", deleted, trigger.job_id))
        await exports.system.publish(trigger)
        # By its run: the event of an earlier test's cancellation may be published only now.
        cancelled = await runs.find(
            lambda event: isinstance(event, events.RunCancelled) and event.run_id == trigger.run_id
        )
    assert isinstance(cancelled, events.RunCancelled)
    assert cancelled.reason == "job-deleted"


async def test_R2_a_killed_exporter_s_runs_are_taken_over_and_visible_once(
    exports: ExportSystem, exporter: Service
) -> None:
    victim = exports.start_exporter("victim", SLOTS="4")
    await victim.wait_ready()
    exporter.process.pause(paused=True)
    try:
        triggers = [exports.make_trigger() for _ in range(4)]
        await exports.system.publish(*triggers)
        claimed = "SELECT true FROM run WHERE run_id = ANY ($1) AND exporter = 'victim' AND state = 'running'"
        await eventually(lambda: exports.system.fetch("exporter", claimed, [each.run_id for each in triggers]))
        victim.process.kill()
    finally:
        exporter.process.pause(paused=False)
    for trigger in triggers:
        assert await exports.wait_until_ended(trigger.run_id) == "succeeded"
        objects = exports.list_objects(trigger.run_id)
        assert len(objects) == 3, "objects of a lost token are swept"
    taken_over = await exports.system.fetch(
        "exporter", "SELECT 1 FROM run WHERE run_id = ANY ($1) AND token > 1", [each.run_id for each in triggers]
    )
    assert taken_over, "at least one run was taken over"


async def test_R7_SIGTERM_hands_runs_back_without_counting_an_attempt(exports: ExportSystem, exporter: Service) -> None:
    leaver = exports.start_exporter("leaver", SLOTS="4", DRAIN="PT0S")
    await leaver.wait_ready()
    exporter.process.pause(paused=True)
    try:
        triggers = [exports.make_trigger() for _ in range(4)]
        await exports.system.publish(*triggers)
        claimed = "SELECT true FROM run WHERE run_id = ANY ($1) AND exporter = 'leaver' AND state = 'running'"
        await eventually(lambda: exports.system.fetch("exporter", claimed, [each.run_id for each in triggers]))
        assert leaver.process.stop() == 0
        handed_back = await exports.system.fetch(
            "exporter",
            "SELECT state, attempt FROM run WHERE run_id = ANY ($1) AND state NOT IN ('succeeded')",
            [each.run_id for each in triggers],
        )
        assert {(row["state"], row["attempt"]) for row in handed_back} <= {("queued", 0)}
    finally:
        exporter.process.pause(paused=False)
    for trigger in triggers:
        assert await exports.wait_until_ended(trigger.run_id) == "succeeded"
