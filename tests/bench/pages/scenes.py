"""A plausible history for screenshots of the pages, published in real time, as estimates depend on it."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from shared import events
from shared.clock import SystemClock
from shared.events.runs import PartFinished, RunFailed, RunQueued, RunStarted, RunSucceeded
from tests.integration.job_api.world import Tenant
from tests.integration.pages.runs import create_scenario, publish_runs
from tests.integration.pages.site import Site
from tests.unit.history.scenarios import RunScenario

ROWS, PARTS, SECONDS = 1_284_310, 7, 40
RAW, PACKED = 255 * 2**20, 71 * 2**20
RECIPIENTS = tuple(sha256(name).hexdigest() for name in (b"officer", b"escrow"))


async def publish_history(site: Site, tenant: Tenant, job: UUID | None = None) -> dict[str, RunScenario]:
    """Publish earlier runs, failures, one run from its start to its end and one in progress; return runs by name.

    `job` is the job whose nightly runs they are. Takes about a minute.
    """
    nightly = [_create_nightly(tenant, days, job) for days in range(6, 0, -1)]
    contacts = create_scenario(tenant, "Contacts for the CRM", ago=timedelta(hours=3), type="contact")
    failed = create_scenario(tenant, "Archive for the regulator", ago=timedelta(hours=2)).triggered().queued().started()
    failure = {
        "code": "certificate-expired",
        "message": "The certificate of the escrow expired on 2026-11-20 00:00 UTC.",
    }
    failed.add(RunFailed, attempt=1, **failure)
    cancelled = create_scenario(tenant, "Trial", ago=timedelta(hours=1)).triggered().queued().started().cancelled()
    await publish_runs(site, tenant, *nightly, contacts.triggered().queued().started().succeeded(), failed, cancelled)
    followed = _start(tenant, SystemClock().now() - timedelta(seconds=2), nightly[0].job_id)
    await publish_runs(site, tenant, followed)
    await _report_progress(site, followed)
    await publish_runs(site, tenant, _finish(followed))
    in_progress = _start(tenant, SystemClock().now() - timedelta(seconds=2), nightly[0].job_id)
    await publish_runs(site, tenant, in_progress)
    await _report_progress(site, in_progress, until=0.6)
    return {"followed": followed, "failed": failed, "running": in_progress}


def _create_nightly(tenant: Tenant, days: int, job: UUID | None) -> RunScenario:
    slot = SystemClock().now().replace(hour=1, minute=0, second=0, microsecond=0) - timedelta(days=days)
    scenario = _start(tenant, slot, job or UUID(int=20261124))
    scenario.at += timedelta(seconds=SECONDS + days % 3)
    return _finish(scenario)


def _start(tenant: Tenant, at: datetime, job: UUID) -> RunScenario:
    slot = at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)
    scenario = create_scenario(
        tenant, "Nightly interactions", job=job, split_size=2**28, media_types=("email", "chat", "voice")
    )
    frame = events.Timeframe(kind="last", count=1, unit="days")
    scenario.settings, scenario.at = replace(scenario.settings, timeframe=frame), at
    scenario.triggered()
    scenario.add(RunQueued, slot=slot, cause="schedule", settings=scenario.settings)
    scenario.token, scenario.seq = 1, 0
    window = events.Window(start=slot - timedelta(days=1), end=slot)
    return scenario.add(RunStarted, exporter="exporter-2", attempt=1, window=window, recipients=RECIPIENTS)


def _finish(scenario: RunScenario) -> RunScenario:
    files = tuple(
        events.ExportedFile(
            name=f"Interaction-{scenario.job_id}-{scenario.at:%Y%m%dT%H%M%SZ}-part-{number:04}.zip.p7m",
            kind="interaction",
            object=f"runs/{scenario.run_id}/1/part-{number:04}",
            **_part_fields(number),
        )
        for number in range(1, PARTS + 1)
    )
    sizes = {name: sum(getattr(file, name) for file in files) for name in ("bytes_raw", "bytes_packed")}
    manifest = f"runs/{scenario.run_id}/1/manifest.json"
    return scenario.add(
        RunSucceeded,
        rows=ROWS,
        files=files,
        manifest=manifest,
        data_complete_through=scenario.at,
        title=scenario.settings.title,
        type=scenario.settings.type,
        slot=scenario.at,
        cause="schedule",
        **sizes,
    )


def _part_fields(number: int) -> dict[str, Any]:
    sizes = {"rows": ROWS // PARTS, "bytes_raw": RAW + number * 1371, "bytes_packed": PACKED + number * 90_210}
    return {"part": number, "sha256": sha256(str(number).encode()).hexdigest(), **sizes}


async def _report_progress(site: Site, scenario: RunScenario, *, until: float = 1.0) -> None:
    """Publish the progress of a run every second, at a varying rate and with one short stall."""
    done = 0.0
    for second in range(round(SECONDS * until)):
        await asyncio.sleep(1)
        pace = (1.06 + 0.16 * math.sin(second / 5)) * (0.4 if SECONDS * 0.4 < second < SECONDS * 0.5 else 1)
        done = min(ROWS - 1.0, done + ROWS / SECONDS * pace)
        scenario.at = SystemClock().now() - timedelta(seconds=1)
        await site.system.publish(*_next_events(scenario, int(done)))


def _next_events(scenario: RunScenario, done: int) -> Sequence[events.Event]:
    scenario.progressed(done, ROWS)
    finish_run = sum(isinstance(event, PartFinished) for event in scenario.runs)
    if done * PARTS // ROWS > finish_run:
        scenario.add(PartFinished, kind="interaction", **_part_fields(finish_run + 1))
        return [scenario.progress[-1], scenario.runs[-1]]
    return scenario.progress[-1:]
