"""The runs that this process follows: loaded when first heard of, with what was stored of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from history.estimator.following import Following
from history.projections import TERMINAL
from history.store.estimates import EstimateStore, Memory
from shared import events

About = events.SlotTriggered | events.RunEvent | events.RunProgressed


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


class Tracking:
    """Followed runs by id."""

    def __init__(self, store: EstimateStore) -> None:
        self._store = store
        self._runs: dict[UUID, Tracked] = {}

    def __iter__(self) -> Iterator[Tracked]:
        """Yield the followed runs."""
        return iter(list(self._runs.values()))

    async def find(self, event: About, partition: int, *, ended: bool = False) -> Tracked | None:
        """Return the run that an event is about, loading what is stored of it.

        None for a run that the log knows to have ended; with `ended`, for one of which nothing is stored.
        """
        run = self._runs.get(event.run_id)
        if run is not None:
            return run
        known = await self._store.known(event.run_id, event.job_id)
        memory = known.memory
        if memory is None if ended else known.state in TERMINAL:
            return None
        following = Following.begin(known.earlier, known.waits, memory.state["following"] if memory else None)
        run = Tracked(event.run_id, event.job_id, event.tenant_id, partition, following)
        if memory is not None:
            run.token, run.seq = memory.token, memory.seq
            run.life = (memory.state["life"][0], memory.state["life"][1])
        self._runs[event.run_id] = run
        return run

    def forget(self, run_id: UUID) -> None:
        """Forget a run that has ended, here."""
        self._runs.pop(run_id, None)

    async def drop(self, run_id: UUID) -> None:
        """Forget a run that has ended, here and in the store."""
        self.forget(run_id)
        await self._store.drop([run_id])

    async def drop_ended(self) -> None:
        """Forget runs whose end was told before they were heard of: topics are read in no order between them."""
        for run_id in await self._store.ended(self._runs) if self._runs else ():
            await self.drop(run_id)

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Forget the runs of partitions that others have now."""
        kept = frozenset(partitions)
        self._runs = {run_id: run for run_id, run in self._runs.items() if run.partition in kept}
