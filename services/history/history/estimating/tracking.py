"""The runs that this process follows; what is stored of them is loaded many at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from history.estimating.estimator.following import Following
from history.recording.projections import TERMINAL
from history.store.estimates import EstimateStore, Known, Memory
from shared import events

About = events.SlotTriggered | events.RunEvent | events.RunProgressed

# So many runs, or events of one, wait to be loaded at most: else they are loaded at once.
_MOST_RUNS, _MOST_EVENTS = 500, 200
# So many ended runs are remembered: topics are read in no order between them, so that their progress may come after.
_MOST_ENDED = 20_000


@dataclass(slots=True)
class Tracked:
    """A run that has not ended, as far as this process knows.

    (`token`, `seq`) is the latest progress it took, `life` the latest claim; `sent_at` is when an estimate was sent.
    """

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    partition: int
    following: Following
    token: int = 0
    seq: int = -1
    life: tuple[int, int] = (0, -1)
    changed: bool = True
    unstored: bool = True
    sent_at: float = 0.0

    def memory(self) -> Memory:
        """Return what is to be stored of it."""
        state = {"following": self.following.dump(), "life": list(self.life)}
        return Memory(run_id=self.run_id, job_id=self.job_id, token=self.token, seq=self.seq, state=state)


@dataclass(slots=True)
class Unloaded:
    """A run of which it is not known yet what is stored, and what was told of it since it was first heard of."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    partition: int
    told: list[About] = field(default_factory=list)

    def told_of_progress(self) -> bool:
        """Return whether there is anything to learn from it."""
        return any(isinstance(event, events.RunProgressed) for event in self.told)


class Tracking:
    """Followed runs by id."""

    def __init__(self, store: EstimateStore) -> None:
        self._store = store
        self._runs: dict[UUID, Tracked] = {}
        self._unloaded: dict[UUID, Unloaded] = {}
        self._ended: dict[UUID, None] = {}

    def __iter__(self) -> Iterator[Tracked]:
        """Yield the followed runs."""
        return iter(list(self._runs.values()))

    def find(self, run_id: UUID) -> Tracked | None:
        """Return a run that is followed and loaded."""
        return self._runs.get(run_id)

    def put_off(self, event: About, partition: int) -> bool:
        """Keep an event of a run that is not loaded; return whether so much waits that it must be loaded now.

        One of a run that has ended is passed over.
        """
        run = self._unloaded.get(event.run_id)
        if run is None:
            if event.run_id in self._ended:
                return False
            run = Unloaded(event.run_id, event.job_id, event.tenant_id, partition)
            self._unloaded[event.run_id] = run
        run.told.append(event)
        return len(self._unloaded) >= _MOST_RUNS or len(run.told) >= _MOST_EVENTS

    async def load(self, ending: UUID | None = None) -> list[tuple[Tracked, list[About]]]:
        """Load what was put off, and return it: each run with what was told of it. Raises PostgresUnavailable.

        Runs that the log knows to have ended are left out, but for the one whose end is being told.
        """
        if not self._unloaded:
            return []
        asked = dict(self._unloaded)
        known = await self._store.known([(run.run_id, run.job_id) for run in asked.values()])
        loaded = []
        for run_id, run in asked.items():
            # Meanwhile it may have been loaded by another, or its partition been taken away.
            if self._unloaded.pop(run_id, None) is None:
                continue
            if known[run_id].state in TERMINAL and not (run_id == ending and run.told_of_progress()):
                self._note_ended(run_id)
                continue
            self._runs[run_id] = tracked = _tracked(run, known[run_id])
            loaded.append((tracked, run.told))
        return loaded

    async def stored(self, event: events.RunEvent, partition: int) -> Tracked | None:
        """Return a run that has ended as it is stored; None where nothing is stored of it, or its end is old news."""
        if event.run_id in self._ended:
            return None
        known = (await self._store.known([(event.run_id, event.job_id)]))[event.run_id]
        if known.memory is None:
            return None
        return _tracked(Unloaded(event.run_id, event.job_id, event.tenant_id, partition), known)

    def forget(self, run_id: UUID) -> None:
        """Forget a run that has ended."""
        self._runs.pop(run_id, None)
        self._unloaded.pop(run_id, None)
        self._note_ended(run_id)

    def _note_ended(self, run_id: UUID) -> None:
        self._ended[run_id] = None
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    async def drop_ended(self) -> None:
        """Forget runs whose end was told before they were heard of: topics are read in no order between them."""
        for run_id in await self._store.ended(self._runs) if self._runs else ():
            self.forget(run_id)
            await self._store.drop([run_id])

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Forget the runs of partitions that others have now."""
        kept = frozenset(partitions)
        self._runs = {run_id: run for run_id, run in self._runs.items() if run.partition in kept}
        self._unloaded = {run_id: run for run_id, run in self._unloaded.items() if run.partition in kept}


def _tracked(run: Unloaded, known: Known) -> Tracked:
    memory = known.memory
    following = Following.begin(known.earlier, known.waits, memory.state["following"] if memory else None)
    tracked = Tracked(run.run_id, run.job_id, run.tenant_id, run.partition, following)
    if memory is not None:
        tracked.token, tracked.seq = memory.token, memory.seq
        tracked.life = (memory.state["life"][0], memory.state["life"][1])
    return tracked
