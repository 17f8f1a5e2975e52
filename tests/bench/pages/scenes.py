"""A history that looks like a day's work, for pictures of the pages: live, since estimates depend on real time."""

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
from tests.integration.pages.runs import publish_runs, story_of
from tests.integration.pages.site import Site
from tests.unit.history.scenarios import RunScenario

ROWS, PARTS, SECONDS = 1_284_310, 7, 40
RAW, PACKED = 255 * 2**20, 71 * 2**20
RECIPIENTS = tuple(sha256(name).hexdigest() for name in (b"officer", b"escrow"))


async def busy_day(site: Site, tenant: Tenant, job: UUID | None = None) -> dict[str, RunScenario]:
    """Publish earlier runs, failures and one run that is seen from its start to its end; return the runs by name.

    `job` is the job whose nightly runs they are. Takes about a minute.
    """
    nightly = [_night(tenant, days, job) for days in range(6, 0, -1)]
    contacts = story_of(tenant, "Contacts for the CRM", ago=timedelta(hours=3), type="contact")
    failed = story_of(tenant, "Archive for the regulator", ago=timedelta(hours=2)).triggered().queued().started()
    said = {"code": "certificate-expired", "message": "The certificate of the escrow expired on 2026-11-20 00:00 UTC."}
    failed.add(RunFailed, attempt=1, **said)
    cancelled = story_of(tenant, "Trial", ago=timedelta(hours=1)).triggered().queued().started().cancelled()
    await publish_runs(site, tenant, *nightly, contacts.triggered().queued().started().succeeded(), failed, cancelled)
    watched = _begun(tenant, SystemClock().now() - timedelta(seconds=2), nightly[0].job_id)
    await publish_runs(site, tenant, watched)
    await _live(site, watched)
    await publish_runs(site, tenant, _ended(watched))
    going_on = _begun(tenant, SystemClock().now() - timedelta(seconds=2), nightly[0].job_id)
    await publish_runs(site, tenant, going_on)
    await _live(site, going_on, until=0.6)
    return {"watched": watched, "failed": failed, "running": going_on}


def _night(tenant: Tenant, days: int, job: UUID | None) -> RunScenario:
    slot = SystemClock().now().replace(hour=1, minute=0, second=0, microsecond=0) - timedelta(days=days)
    story = _begun(tenant, slot, job or UUID(int=20261124))
    story.at += timedelta(seconds=SECONDS + days % 3)
    return _ended(story)


def _begun(tenant: Tenant, at: datetime, job: UUID) -> RunScenario:
    slot = at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)
    story = story_of(tenant, "Nightly interactions", job=job, split_size=2**28, media_types=("email", "chat", "voice"))
    frame = events.Timeframe(kind="last", count=1, unit="days")
    story.settings, story.at = replace(story.settings, timeframe=frame), at
    story.triggered()
    story.add(RunQueued, slot=slot, cause="schedule", settings=story.settings)
    story.token, story.seq = 1, 0
    window = events.Window(start=slot - timedelta(days=1), end=slot)
    return story.add(RunStarted, exporter="exporter-2", attempt=1, window=window, recipients=RECIPIENTS)


def _ended(story: RunScenario) -> RunScenario:
    files = tuple(
        events.ExportedFile(
            name=f"Interaction-{story.job_id}-{story.at:%Y%m%dT%H%M%SZ}-part-{number:04}.zip.p7m",
            kind="interaction",
            object=f"runs/{story.run_id}/1/part-{number:04}",
            **_part(number),
        )
        for number in range(1, PARTS + 1)
    )
    sizes = {name: sum(getattr(file, name) for file in files) for name in ("bytes_raw", "bytes_packed")}
    manifest = f"runs/{story.run_id}/1/manifest.json"
    return story.add(
        RunSucceeded,
        rows=ROWS,
        files=files,
        manifest=manifest,
        data_complete_through=story.at,
        title=story.settings.title,
        type=story.settings.type,
        slot=story.at,
        cause="schedule",
        **sizes,
    )


def _part(number: int) -> dict[str, Any]:
    sizes = {"rows": ROWS // PARTS, "bytes_raw": RAW + number * 1371, "bytes_packed": PACKED + number * 90_210}
    return {"part": number, "sha256": sha256(str(number).encode()).hexdigest(), **sizes}


async def _live(site: Site, story: RunScenario, *, until: float = 1.0) -> None:
    """Let a run go on second by second, faster and slower as runs do, with one short stall."""
    done = 0.0
    for second in range(round(SECONDS * until)):
        await asyncio.sleep(1)
        pace = (1.06 + 0.16 * math.sin(second / 5)) * (0.4 if SECONDS * 0.4 < second < SECONDS * 0.5 else 1)
        done = min(ROWS - 1.0, done + ROWS / SECONDS * pace)
        story.at = SystemClock().now() - timedelta(seconds=1)
        await site.system.publish(*_step(story, int(done)))


def _step(story: RunScenario, done: int) -> Sequence[events.Event]:
    story.progressed(done, ROWS)
    finished = sum(isinstance(event, PartFinished) for event in story.runs)
    if done * PARTS // ROWS > finished:
        story.add(PartFinished, kind="interaction", **_part(finished + 1))
        return [story.progress[-1], story.runs[-1]]
    return story.progress[-1:]
