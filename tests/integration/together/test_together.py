"""Rules that span job API, scheduler and exporter, from end to end: J7, J9, S10 and R8."""

import asyncio
import random
import secrets
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx

from shared.clock import SystemClock
from shared.timetable import derive_run_id, truncate_to_second
from tests.integration.together.conftest import Together
from tests.support.wait import eventually

CROSSINGS = 12
"""In each of three orders."""
RESUMED, LATE = 24, 4
"""Resumed jobs, and how many of them at least after their slot."""
AT_ONCE = {"kind": "once", "immediately": True}


async def test_J9_a_trigger_published_after_the_deletion_ends_cancelled(together: Together) -> None:
    async with together.hold_relays():
        jobs = [await together.create_job(**AT_ONCE) for _ in range(CROSSINGS)]
        runs = [await together.wait_for_slot(job) for job in jobs]
        # The slots are decided, but their triggers are not published.
        assert {(await together.delete(job)).status_code for job in jobs} == {204}
        await together.wait_until_deleted(jobs)
    for job, run in zip(jobs, runs, strict=True):
        assert await together.wait_for_end(run) == ("cancelled", "job-deleted")
        assert await together.runs(job) == ["cancelled"]
        assert (await together.call("GET", f"/jobs/{job['id']}")).status_code == 404


async def test_J9_a_triggered_job_cannot_be_deleted_until_its_run_has_ended(together: Together) -> None:
    jobs = [await together.create_job() for _ in range(CROSSINGS)]
    async with together.history.close_gate_at("interaction", 1):
        runs = [await together.run_now(job) for job in jobs]
        for job, run in zip(jobs, runs, strict=True):
            assert run is not None
            await wait_until_seen(together, job, run)
            answer = await together.delete(job)
            assert (answer.status_code, answer.json()["run"]) == (409, str(run))
            assert answer.json()["cancel"] == f"/api/v1/runs/{run}/cancel"
            await together.cancel(job, run)
            assert await together.wait_for_end(run) == ("cancelled", "requested")
    await asyncio.gather(*(delete_eventually(together, job) for job in jobs))
    await together.wait_until_deleted(jobs)


async def test_J9_a_deletion_and_a_trigger_in_flight_have_one_of_two_results(together: Together) -> None:
    outcomes: list[tuple[dict[str, Any], httpx.Response]] = []
    # No run gets past its first row, so none can end before everything in flight has arrived.
    async with together.history.close_gate_at("interaction", 1):
        for number in range(CROSSINGS):
            job = await together.create_job(**AT_ONCE)
            # Between zero and the time that a trigger takes to reach the exporter.
            if number % 3 == 1:
                await together.wait_for_slot(job)
            elif number % 3 == 2:
                await eventually(partial(together.runs, job))
            outcomes.append((job, await together.delete(job)))
        for job, answer in outcomes:
            if answer.status_code == 204:
                await together.wait_until_deleted([job])
                for run, _ in await together.slots(job):
                    assert await together.wait_for_end(run) == ("cancelled", "job-deleted")
                assert set(await together.runs(job)) <= {"cancelled"}, "nothing is left behind"
            else:
                run = await together.wait_for_slot(job)
                assert (answer.status_code, answer.json()["run"]) == (409, str(run))
                await together.cancel(job, run)
                assert await together.wait_for_end(run) == ("cancelled", "requested")
    refused = [job for job, answer in outcomes if answer.status_code == 409]
    await asyncio.gather(*(delete_eventually(together, job) for job in refused))
    for job, _ in outcomes:
        assert set(await together.runs(job)) <= {"cancelled"}


async def test_J9_a_job_with_a_requested_run_cannot_be_deleted(together: Together) -> None:
    job = await together.create_job()
    async with together.history.close_gate_at("interaction", 1):
        run = await together.run_now(job)
        answer = await together.delete(job)
        assert (answer.status_code, answer.json()["run"]) == (409, str(run)), "before the scheduler knows of it"
        assert run is not None
        await together.wait_for_fate(run)
        await together.cancel(job, run)
        assert await together.wait_for_end(run) == ("cancelled", "requested")
    await delete_eventually(together, job)


async def test_S10_run_now_requested_twice_is_one_run_and_leaves_the_schedule_unchanged(together: Together) -> None:
    job = await together.create_job()
    before = await together.get(job)
    key = secrets.token_hex(8)
    first, second = await asyncio.gather(together.run_now(job, key), together.run_now(job, key))
    assert first is not None
    assert first == second
    assert await together.wait_for_end(first) == ("succeeded", None)
    assert (await together.call("POST", f"/jobs/{job['id']}/suspend")).status_code == 200
    third = await together.run_now(job)
    assert third is not None
    assert await together.wait_for_end(third) == ("succeeded", None), "suspended, and run all the same"
    assert await together.slots(job) == [(first, "run-now"), (third, "run-now")]
    assert await together.runs(job) == ["succeeded"] * 2
    after = await together.get(job)
    assert after["state"] == "suspended"
    assert (await together.call("POST", f"/jobs/{job['id']}/resume")).json()["next_run_at"] == before["next_run_at"]


async def test_S10_a_one_time_job_cannot_be_run_now(together: Together) -> None:
    job = await together.create_job(kind="once", start="2090-01-01T00:00:00Z")
    answer = await together.call("POST", f"/jobs/{job['id']}/run", **{"Idempotency-Key": "once"})
    assert answer.status_code == 409
    later = await together.create_job()
    run = await together.run_now(later)
    assert run is not None
    await together.wait_for_end(run)
    assert await together.slots(job) == [], "what was asked later has been answered, and of this nothing is known"


async def test_J7_a_start_is_one_run_and_a_suspension_whichever_service_is_killed(together: Together) -> None:
    soon = truncate_to_second(SystemClock().now()) + timedelta(seconds=3)
    decided = [await together.create_job(kind="once", start=soon.isoformat()) for _ in range(3)]
    late = await together.create_job(kind="once", start=(soon + timedelta(seconds=4)).isoformat())
    async with together.hold_relays():
        for job in decided:
            await eventually(partial(together.slots, job))
        together.parts["scheduler"].process.kill()
        together.parts["job_api"].process.kill()
        await eventually(lambda: SystemClock().now() > soon + timedelta(seconds=4))
    await together.start("scheduler", "job_api")
    for job, start in [*((job, soon) for job in decided), (late, soon + timedelta(seconds=4))]:
        run = derive_run_id(UUID(job["id"]), start)
        assert await together.wait_for_end(run) == ("succeeded", None)
        found = await wait_until_suspended(together, job)
        assert (found["state_reason"], found["next_run_at"]) == ("one-time", None)
        assert await together.slots(job) == [(run, "schedule")]
        answer = await together.call("POST", f"/jobs/{job['id']}/resume")
        assert answer.json()["type"].endswith("/one-time-not-resumable")


async def test_R8_five_failed_runs_in_a_row_suspend_the_job_and_its_slots(together: Together) -> None:
    job = await together.create_job()
    await together.call("POST", f"/certificates/{together.certificate}/retire")
    await together.wait_for_certificate(active=False)
    try:
        for number in range(5):
            assert (await together.get(job))["state"] == "active", f"after {number} failures"
            run = await together.run_now(job)
            assert run is not None
            assert await together.wait_for_end(run) == ("failed", None)
            await eventually(partial(is_latest, together, job, run, "failed"))
        found = await wait_until_suspended(together, job)
        assert found["state_reason"] == "failures"
        assert "certificate" in found["latest_run"]["message"]
        known = "SELECT true FROM schedule WHERE job_id = $1 AND state = 'suspended'"
        await eventually(lambda: together.system.fetch("scheduler", known, UUID(job["id"])))
    finally:
        await together.upload()


async def wait_until_seen(together: Together, job: dict[str, Any], run: UUID) -> None:
    await eventually(lambda: is_latest(together, job, run, "queued", "running"))


async def is_latest(together: Together, job: dict[str, Any], run: UUID, *states: str) -> bool:
    latest = (await together.get(job))["latest_run"]
    return bool(latest and latest["id"] == str(run) and latest["state"] in states)


async def wait_until_suspended(together: Together, job: dict[str, Any]) -> dict[str, Any]:
    """Wait until the API shows the job as suspended, and return it."""

    async def shown() -> dict[str, Any]:
        found = await together.get(job)
        assert found["state"] == "suspended"
        return found

    return await eventually(shown)


async def delete_eventually(together: Together, job: dict[str, Any]) -> None:
    """Delete a job whose run has just ended, which the job API learns a moment later."""

    async def done() -> bool:
        return (await together.delete(job)).status_code == 204

    await eventually(done)


async def test_J5_the_first_slot_that_a_resumption_names_is_the_first_that_runs(together: Together) -> None:
    """Jobs are resumed in a random order just before and just after their slot, as fast as they can be."""
    dice = random.Random(RESUMED)
    began = SystemClock().now()
    jobs = await asyncio.gather(*(together.create_job() for _ in range(RESUMED)))
    suspended = await asyncio.gather(*(together.call("POST", f"/jobs/{job['id']}/suspend") for job in jobs))
    assert {answer.status_code for answer in suspended} == {200}
    # Far enough ahead for as many requests again, however slow the machine is.
    slot = truncate_to_second(SystemClock().now() + 2 * (SystemClock().now() - began)) + timedelta(seconds=3)
    schedules = [{"kind": dice.choice(["daily", "weekly", "monthly"]), "start": slot.isoformat()} for _ in jobs]
    edits = (
        together.call("PATCH", f"/jobs/{job['id']}", body={"schedule": schedule}, **{"If-Match": "*"})
        for job, schedule in zip(jobs, schedules, strict=True)
    )
    assert {answer.status_code for answer in await asyncio.gather(*edits)} == {200}
    promised: dict[UUID, bool] = {}
    await eventually(lambda: SystemClock().now() > slot - timedelta(seconds=1))
    for number, job in enumerate(jobs):
        if number == RESUMED - LATE:
            await eventually(lambda: SystemClock().now() > slot)
        answer = await together.call("POST", f"/jobs/{job['id']}/resume")
        assert answer.status_code == 200, answer.text
        promised[UUID(job["id"])] = datetime.fromisoformat(answer.json()["next_run_at"]) == slot
    query = "SELECT job_id, fate, reason FROM slot WHERE job_id = ANY ($1::uuid[]) AND at = $2"

    async def find_fates() -> dict[UUID, tuple[str, str]]:
        rows = await together.system.fetch("scheduler", query, list(promised), slot)
        fates = {row["job_id"]: (row["fate"], row["reason"]) for row in rows}
        assert len(fates) == RESUMED, f"{RESUMED - len(fates)} slots have no fate yet"
        return fates

    fates = await eventually(find_fates, timeout=90)
    assert {job_id: fate == "triggered" for job_id, (fate, _) in fates.items()} == promised
    assert {reason for fate, reason in fates.values() if fate == "skipped"} <= {"suspended"}
