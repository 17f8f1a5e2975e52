"""The oracle: what must be true after the storm, judged from topics, answers and files.

Of the product it knows the classes of events, and nothing else.
"""

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import TypeAdapter

from deploy.local.processes import plain_environment
from shared import events
from tests.chaos.system.files import FileChecker, RunFiles, collect_versions, find_gaps
from tests.chaos.system.load import Load
from tests.chaos.system.world import World
from tests.support.wait import eventually

TERMINAL: dict[type[events.Event], str] = {
    events.RunSucceeded: "succeeded",
    events.RunSucceededV1: "succeeded",
    events.RunFailed: "failed",
    events.RunCancelled: "cancelled",
    events.RunSkipped: "skipped",
}
_SETTLE_SECONDS, _STUCK_SECONDS = 300, 60


@dataclass
class Verdict:
    """What was found, in sentences by kind; empty lists for a product that keeps its promises."""

    slots: int = 0
    runs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong_files: list[str] = field(default_factory=list)
    stuck_over_60s: list[str] = field(default_factory=list)
    unexplained_dead_letters: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class Oracle:
    """Judges a world in which every fault is healed and nothing more is requested."""

    def __init__(self, world: World, load: Load, files: FileChecker) -> None:
        self._world = world
        self._load = load
        self._files = files
        self._fates: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._fate_of_run: dict[str, str] = {}
        self._ends: dict[str, set[str]] = defaultdict(set)
        self._successes: dict[str, events.RunSucceeded] = {}
        self.verdict = Verdict()

    async def judge(self) -> Verdict:
        """Wait until the system is at rest, then compare everything."""
        verdict = self.verdict
        await self.wait_for_rest()
        await self._read_topics()
        verdict.slots, verdict.runs = len(self._fates), len(self._ends)
        verdict.lost += self._find_lost() + self._load.unanswered
        verdict.doubled += self._find_doubled()
        await self._compare_log()
        opened = await self._open_files()
        await self._find_missing_changes(opened)
        await self._find_orphans()
        await self._check_revoked_keys()
        await self._check_jobs()
        await self._compare_rebuild()
        return verdict

    async def wait_for_rest(self) -> None:
        """Wait until every process is ready and every run has ended; note what takes too long."""
        waiting: list[str] = []
        # A slot may be due after the storm, and that of a suspended job is decided a minute late.
        with suppress(AssertionError):  # judged as lost
            await eventually(self._are_due_slots_decided, timeout=_SETTLE_SECONDS)

        async def rest() -> bool:
            waiting[:] = await self._find_waiting()
            return not waiting

        try:
            await eventually(rest, timeout=_STUCK_SECONDS)
        except AssertionError:
            self.verdict.stuck_over_60s += waiting
            try:
                await eventually(rest, timeout=_SETTLE_SECONDS)
            except AssertionError:
                self.verdict.lost += waiting

    async def _are_due_slots_decided(self) -> bool:
        shown = await self._load.list_runs()
        decided = {(each["job_id"], datetime.fromisoformat(each["slot"])) for each in shown.values() if each["slot"]}
        return all(
            (job.id, job.due) in decided for job in self._load.jobs.values() if job.due is not None and not job.deleted
        )

    async def _find_waiting(self) -> list[str]:
        faults = await self._find_unready()
        if faults:
            return faults
        shown = await self._load.list_runs()
        waiting = [f"run {run} is not in the log" for run in self._load.runs if run not in shown]
        exported = {each["job_id"] for each in shown.values()}
        waiting += [
            f"the job {job.id}, which runs once, has not run"
            for job in self._load.jobs.values()
            if not job.repeats and not job.deleted and job.id not in exported
        ]
        return waiting + [
            f"run {run} is {each['state']}" for run, each in shown.items() if each["state"] in {"queued", "running"}
        ]

    async def _find_unready(self) -> list[str]:
        found = []
        async with httpx.AsyncClient(timeout=20) as client:
            for member in self._world.members:
                try:
                    answer = await client.get(f"{member.url}/readyz")
                except httpx.TransportError as error:
                    found.append(f"{member.name}: {type(error).__name__}")
                    continue
                if answer.status_code != 200:
                    found.append(f"{member.name}: {answer.text}")
        return found

    async def _read_topics(self) -> None:
        async for name, value in self._read("sluice.triggers"):
            event = parse(name, value)
            if isinstance(event, events.SlotTriggered | events.SlotSkipped):
                fate = f"{type(event).__name__} {event.run_id} {getattr(event, 'reason', '')}"
                self._fates[str(event.job_id), event.slot.isoformat()].add(fate)
                self._fate_of_run[str(event.run_id)] = type(event).__name__
        async for name, value in self._read("sluice.runs"):
            event = parse(name, value)
            if (state := TERMINAL.get(type(event))) is not None:
                assert isinstance(event, events.RunEvent)
                self._ends[str(event.run_id)].add(state)
            if isinstance(event, events.RunSucceeded):
                self._successes[str(event.run_id)] = event
        for topic in await self._list_dead_letter_topics():
            async for _, value in self._read(topic):
                self.verdict.unexplained_dead_letters.append(f"{topic}: {value[:300]!r}")

    async def _list_dead_letter_topics(self) -> list[str]:
        async with AIOKafkaConsumer(bootstrap_servers=self._world.system.kafka) as consumer:
            return sorted(each for each in await consumer.topics() if each.endswith(".dead"))

    async def _read(self, topic: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield the type and value of every message of a topic."""
        address = self._world.system.kafka
        partitions = [TopicPartition(topic, number) for number in await _list_partitions(address, topic)]
        async with AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(each) < end for each, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        yield dict(record.headers).get("ce_type", b"").decode(), record.value or b""

    def _find_lost(self) -> list[str]:
        lost = [f"the accepted run {run} has no fate" for run in self._load.runs if run not in self._fate_of_run]
        lost += [
            f"the triggered run {run} has no end"
            for run, fate in self._fate_of_run.items()
            if fate == "SlotTriggered" and run not in self._ends
        ]
        lost += [
            f"the slot {job.due} of job {job.id} has no fate"
            for job in self._load.jobs.values()
            if job.due is not None and not job.deleted and (job.id, job.due.isoformat()) not in self._fates
        ]
        decided = {job for job, _ in self._fates}
        lost += [
            f"the job {job.id}, which runs once, never ran"
            for job in self._load.jobs.values()
            if not job.repeats and not job.deleted and job.id not in decided
        ]
        return lost

    def _find_doubled(self) -> list[str]:
        doubled = [f"slot {slot} has fates {sorted(fates)}" for slot, fates in self._fates.items() if len(fates) > 1]
        doubled += [f"run {run} ended as {sorted(ends)}" for run, ends in self._ends.items() if len(ends) > 1]
        once = [job for job, _ in self._fates if (known := self._load.jobs.get(job)) is not None and not known.repeats]
        return doubled + [
            f"the job {job} ran more than once" for job in {each for each in once if once.count(each) > 1}
        ]

    async def _compare_log(self) -> None:
        shown = await self._load.list_runs()
        for run, ends in self._ends.items():
            state = shown.get(run, {}).get("state")
            if state not in ends:
                self.verdict.others.append(f"the log says {state} of run {run}, the events say {sorted(ends)}")

    async def _open_files(self) -> dict[str, list[RunFiles]]:
        opened: dict[str, list[RunFiles]] = defaultdict(list)
        for success in self._successes.values():
            try:
                run = await self._files.read_run(success.manifest, success.files)
                opened[str(success.job_id)].append(run)
                job = self._load.jobs.get(str(success.job_id))
                if job is not None and job.kind != "since_last_run":
                    await self._files.check_content(run)
            except (AssertionError, OSError, subprocess.CalledProcessError) as error:
                self.verdict.wrong_files.append(f"run {success.run_id}: {type(error).__name__} {str(error)[:500]}")
        return opened

    async def _find_missing_changes(self, opened: dict[str, list[RunFiles]]) -> None:
        current = await self._world.source.read_versions()
        for job in self._load.jobs.values():
            if job.kind != "since_last_run" or not job.repeats or job.deleted:
                continue
            self.verdict.wrong_files += [f"windows of job {job.id}: {gap}" for gap in find_gaps(opened[job.id])]
            exported = collect_versions(opened[job.id])
            missing = [key for key, version in current.items() if version not in exported.get(key, set())]
            if missing:
                lacking = f"lacks {len(missing)} of {len(current)} changes, such as {missing[:3]}"
                self.verdict.wrong_files.append(f"job {job.id} (since_last_run) {lacking}")

    async def _find_orphans(self) -> None:
        expected = {success.manifest for success in self._successes.values()}
        expected |= {file.object for success in self._successes.values() for file in success.files}
        orphans: set[str] = set()

        async def are_swept() -> bool:
            orphans.clear()
            orphans.update(await self._files.list_objects() - expected)
            return not orphans

        try:
            await eventually(are_swept, timeout=_SETTLE_SECONDS)
        except AssertionError:
            self.verdict.orphans += sorted(orphans)

    async def _check_revoked_keys(self) -> None:
        async with httpx.AsyncClient(base_url=self._load.url, timeout=20) as client:
            for token in self._load.revoked:
                for path in ("/jobs", "/runs", "/artifacts"):
                    answer = await client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
                    if answer.status_code != 401:
                        self.verdict.others.append(f"a revoked key reads {path}: {answer.status_code}")

    async def _check_jobs(self) -> None:
        """Compare each job with what was accepted for it last."""
        for job in self._load.jobs.values():
            answer = await self._load.call("GET", f"/jobs/{job.id}")
            status = None if answer is None else answer.status_code
            if answer is None or status != 200 or job.deleted:
                if (status, job.deleted) != (404, True):
                    self.verdict.lost.append(f"the job {job.id} (deleted: {job.deleted}) is answered with {status}")
                continue
            shown = answer.json()
            if shown["title"] != job.title:
                self.verdict.lost.append(f"job {job.id} has the title {shown['title']!r}, accepted was {job.title!r}")
            if job.repeats and shown["state"] != job.state and shown["state_reason"] != "failures":
                self.verdict.lost.append(f"job {job.id} is {shown['state']}, accepted was {job.state}")

    async def _compare_rebuild(self) -> None:
        before = await self._load.list_runs()
        environment = {
            "SLUICE_KAFKA_BOOTSTRAP": self._world.system.kafka,
            "SLUICE_HISTORY_POSTGRES": self._world.system.dsn("history"),
            "SLUICE_HISTORY_STORE": "file:///nowhere",
        }
        argv = [sys.executable, "-m", "history", "rebuild"]
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=plain_environment(environment),
            cwd=self._world.system.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, faults = await process.communicate()
        if process.returncode != 0:
            self.verdict.others.append(f"rebuild failed: {faults[-1000:].decode()}")
            return
        after = await self._load.list_runs()
        for run in before.keys() | after.keys():
            first, second = _without_version(before.get(run)), _without_version(after.get(run))
            if first != second:
                self.verdict.others.append(f"rebuilt differently: {first} became {second}")


def parse(name: str, value: bytes) -> events.Event:
    """Return the event of a message; `name` is its ce_type, such as sluice.run.queued.v1."""
    kind, _, version = name.removeprefix("sluice.").rpartition(".v")
    return TypeAdapter(events.REGISTRY[kind, int(version)]).validate_json(value)


async def _list_partitions(address: str, topic: str) -> list[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        return sorted(each["partition"] for each in described["partitions"])
    finally:
        await admin.close()


def _without_version(run: dict[str, Any] | None) -> str:
    return json.dumps({name: value for name, value in (run or {}).items() if name != "version"}, sort_keys=True)
