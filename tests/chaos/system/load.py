"""The load: an administrator who never stops, repeats what got no answer, and remembers what was accepted."""

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from tests.chaos.system.source import FIXED

_ATTEMPT_SECONDS, _ANSWER_SECONDS = 20.0, 240.0
_MOST_JOBS, _MOST_OPEN_RUNS = 30, 12
_PACE = 0.5
_CERTAINLY_BEFORE = timedelta(seconds=1)
_TERMINAL = {"succeeded", "failed", "cancelled", "skipped"}

_TIMEFRAMES: dict[str, dict[str, Any]] = {
    "fixed": {"type": "interaction", "timeframe": {"kind": "fixed", "start": FIXED[0], "end": FIXED[1]}},
    "split": {
        "type": "interaction",
        "timeframe": {"kind": "fixed", "start": FIXED[0], "end": FIXED[1]},
        "split_size": 2**20,
    },
    "last": {"type": "interaction", "timeframe": {"kind": "last", "count": 6, "unit": "hours"}},
    "contact": {"type": "contact", "timeframe": {"kind": "all"}},
    "queued": {"type": "contact", "timeframe": {"kind": "all"}, "overlap": "queue"},
    "small": {"type": "contact", "timeframe": {"kind": "all"}, "compression": "small", "cipher": "aes-256-gcm"},
    "since_last_run": {"type": "interaction", "timeframe": {"kind": "since_last_run"}},
}
_KINDS = ("hourly", "daily", "weekly", "monthly")
_FAR = "2090-01-01T00:00:00Z"


@dataclass
class StormJob:
    """A job as the load knows it."""

    id: str
    kind: str
    repeats: bool
    starts_at: datetime | None = None
    deleted: bool = False
    due: datetime | None = None
    """A slot that it must have: its start, when it was created well before that."""
    title: str = ""
    """The title that was accepted last."""
    state: str = ""
    """The state that was answered last."""


@dataclass
class Load:
    """What was accepted, in the words of the REST API."""

    url: str
    api_key: str
    seed: int
    jobs: dict[str, StormJob] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    """The runs that were accepted with 202: run id to job id."""
    revoked: list[str] = field(default_factory=list)
    """Keys whose revocation was accepted."""
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    """Requests that got no definite answer within the limit."""
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    async def run(self, stopping: asyncio.Event) -> None:
        """Send requests until `stopping` is set."""
        actions = (
            [self._create] * 3 + [self._run] * 6 + [self._edit, self._switch, self._delete, self._cancel, self._revoke]
        )
        while not stopping.is_set():
            action = self._random.choice(actions)
            await action()
            try:
                await asyncio.wait_for(stopping.wait(), _PACE)
            except TimeoutError:
                continue

    async def finish(self) -> None:
        """Run every job that exports changes once more, so that each change has had its run."""
        for job in self.jobs.values():
            if job.kind == "since_last_run" and job.repeats and not job.deleted:
                await self._run_job(job)

    async def call(self, method: str, path: str, *, body: object = None, **headers: str) -> httpx.Response | None:
        """Send a request until it is answered for good (neither 429 nor 5xx); None when it never was."""
        until = asyncio.get_running_loop().time() + _ANSWER_SECONDS
        own = {"Authorization": f"Bearer {self.api_key}"} | headers
        if method == "POST":
            own["Idempotency-Key"] = secrets.token_hex(12)
        while asyncio.get_running_loop().time() < until:
            try:
                async with httpx.AsyncClient(base_url=self.url, timeout=_ATTEMPT_SECONDS) as client:
                    answer = await client.request(method, f"/api/v1{path}", json=body, headers=own)
            except httpx.TransportError as error:
                self.answers[type(error).__name__] += 1
                await asyncio.sleep(_PACE)
                continue
            self.answers[str(answer.status_code)] += 1
            if answer.status_code != 429 and answer.status_code < 500:
                return answer
            if answer.status_code not in {429, 502, 503, 504}:
                self.unanswered.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            await asyncio.sleep(_PACE)
        self.unanswered.append(f"{method} {path}")
        return None

    async def list_runs(self) -> dict[str, dict[str, Any]]:
        """Return all runs that history shows, by id."""
        found: dict[str, dict[str, Any]] = {}
        cursor = ""
        while True:
            answer = await self.call("GET", f"/runs?limit=100{cursor}")
            assert answer is not None
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found |= {each["id"]: each for each in page["items"]}
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"

    def _choose(self, *, repeats: bool | None = None) -> StormJob | None:
        jobs = [each for each in self.jobs.values() if not each.deleted and repeats in {None, each.repeats}]
        return self._random.choice(jobs) if jobs else None

    async def _create(self) -> None:
        if sum(not each.deleted for each in self.jobs.values()) >= _MOST_JOBS:
            return
        kind = self._random.choice(list(_TIMEFRAMES))
        starts_at, repeats = None, True
        schedule: dict[str, Any]
        match self._random.randrange(5):
            case 0:
                starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self._random.randint(20, 40))
                schedule, repeats = {"kind": "once", "start": starts_at.isoformat()}, False
            case 1:
                schedule, repeats = {"kind": "once", "immediately": True}, False
            case 2:
                schedule = {"kind": "hourly", "every": 1, "immediately": True}
            case 3:
                starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self._random.randint(5, 40))
                every = self._random.randint(1, 3)
                schedule = {"kind": self._random.choice(_KINDS[1:]), "every": every, "start": starts_at.isoformat()}
            case _:
                schedule = {"kind": self._random.choice(_KINDS), "every": self._random.randint(1, 5), "start": _FAR}
        title = f"{kind} {len(self.jobs)}"
        body = {"title": title, "source": "contact_history", "schedule": schedule, "attempts": 20} | _TIMEFRAMES[kind]
        answer = await self.call("POST", "/jobs", body=body)
        if answer is not None and answer.status_code == 201:
            made = answer.json()
            job = StormJob(made["id"], kind, repeats, starts_at, title=title, state=made["state"])
            if starts_at is not None and datetime.fromisoformat(made["created_at"]) < starts_at - _CERTAINLY_BEFORE:
                job.due = starts_at
            self.jobs[job.id] = job
        elif answer is not None and starts_at is None:
            self.unanswered.append(f"POST /jobs: {answer.status_code} {answer.text[:300]}")

    async def _run(self) -> None:
        job = self._choose(repeats=True)
        if job is not None and await self._has_room():
            await self._run_job(job)

    async def _run_job(self, job: StormJob) -> None:
        answer = await self.call("POST", f"/jobs/{job.id}/run")
        if answer is not None and answer.status_code == 202:
            self.runs[answer.json()["run_id"]] = job.id

    async def _has_room(self) -> bool:
        answer = await self.call("GET", "/runs/counts")
        if answer is None or answer.status_code != 200:
            return False
        counts = answer.json()["state"]
        return bool(sum(count for state, count in counts.items() if state not in _TERMINAL) < _MOST_OPEN_RUNS)

    async def _edit(self) -> None:
        if (job := self._choose(repeats=True)) is not None:
            body = {"title": f"{job.kind} edited {secrets.token_hex(3)}"}
            answer = await self.call("PATCH", f"/jobs/{job.id}", body=body, **{"If-Match": "*"})
            if answer is not None and answer.status_code == 200:
                job.title = body["title"]

    async def _switch(self) -> None:
        if (job := self._choose(repeats=True)) is not None:
            action = self._random.choice(["suspend", "resume"])
            answer = await self.call("POST", f"/jobs/{job.id}/{action}")
            if answer is not None and answer.status_code == 200:
                job.state = answer.json()["state"]

    async def _delete(self) -> None:
        if self._random.random() < 0.5 or (job := self._choose()) is None:
            return
        answer = await self.call("DELETE", f"/jobs/{job.id}", **{"If-Match": "*"})
        # A repeated request whose first answer was lost finds no job.
        job.deleted = answer is None or answer.status_code in {204, 404}

    async def _cancel(self) -> None:
        if self._random.random() < 0.3 and self.runs:
            await self.call("POST", f"/runs/{self._random.choice(list(self.runs))}/cancel")

    async def _revoke(self) -> None:
        made = await self.call("POST", "/keys", body={"name": f"key {secrets.token_hex(3)}", "roles": ["viewer"]})
        if made is None or made.status_code != 201 or made.json()["token"] is None:
            return
        ended = await self.call("DELETE", f"/keys/{made.json()['id']}")
        if ended is not None and ended.status_code in {204, 404}:
            self.revoked.append(made.json()["token"])
