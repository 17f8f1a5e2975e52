"""The runs in progress that this process follows; their stored states are loaded many at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from history.estimating.estimator.followed_run import FollowedRun
from history.recording.projections import TERMINAL_STATES
from history.store.estimates import EstimateStore, EstimationContext, EstimatorState
from shared import events

TrackedEvent = events.SlotTriggered | events.RunEvent | events.RunProgressed

# Pending runs, and pending events of one run, beyond which the stored states are loaded at once.
_MAX_PENDING_RUNS, _MAX_PENDING_EVENTS = 500, 200
# Ended runs that are remembered: the order of messages between topics is not defined, so progress may follow an end.
_MAX_ENDED = 20_000


@dataclass(slots=True)
class ActiveRun:
    """A run that has not ended, as far as this process knows.

    (`token`, `seq`) is the latest progress applied, `claim` the (token, seq) of the latest start. `changed` says that
    there is news since the last estimate (sent at `emitted_at`, seconds since the epoch), `unsaved` that there is since
    the state was stored.
    """

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    partition: int
    followed: FollowedRun
    token: int = 0
    seq: int = -1
    claim: tuple[int, int] = (0, -1)
    changed: bool = True
    unsaved: bool = True
    emitted_at: float = 0.0

    def dump(self) -> EstimatorState:
        """Return the state for storage; the keys are those that stored states have."""
        state = {"following": self.followed.dump(), "life": list(self.claim)}
        return EstimatorState(run_id=self.run_id, job_id=self.job_id, token=self.token, seq=self.seq, state=state)


@dataclass(slots=True)
class PendingRun:
    """A run whose stored state is not loaded yet, and the events deferred since."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    partition: int
    deferred: list[TrackedEvent] = field(default_factory=list)

    def has_progress(self) -> bool:
        """Return whether the deferred events contain progress, without which there is nothing to learn from the run."""
        return any(isinstance(event, events.RunProgressed) for event in self.deferred)


class RunTracker:
    """Active runs by id, and the runs that are still to be loaded."""

    def __init__(self, store: EstimateStore) -> None:
        self._store = store
        self._active: dict[UUID, ActiveRun] = {}
        self._pending: dict[UUID, PendingRun] = {}
        self._ended: dict[UUID, None] = {}

    def __iter__(self) -> Iterator[ActiveRun]:
        """Yield the active runs; changes during the iteration do no harm."""
        return iter(list(self._active.values()))

    def find(self, run_id: UUID) -> ActiveRun | None:
        """Return a run that is active and loaded."""
        return self._active.get(run_id)

    def defer(self, event: TrackedEvent, partition: int) -> bool:
        """Keep the event of a run that is not loaded; return whether `load` is due now, because much is pending.

        Events of runs that have ended are ignored.
        """
        run = self._pending.get(event.run_id)
        if run is None:
            if event.run_id in self._ended:
                return False
            run = PendingRun(event.run_id, event.job_id, event.tenant_id, partition)
            self._pending[event.run_id] = run
        run.deferred.append(event)
        return len(self._pending) >= _MAX_PENDING_RUNS or len(run.deferred) >= _MAX_PENDING_EVENTS

    async def load(self, ending: UUID | None = None) -> list[tuple[ActiveRun, list[TrackedEvent]]]:
        """Load the pending runs and return each with its deferred events. Raises PostgresUnavailable.

        Runs that have ended according to the log are left out, except `ending`, whose end is being handled.
        """
        if not self._pending:
            return []
        pending = dict(self._pending)
        contexts = await self._store.load_contexts([(run.run_id, run.job_id) for run in pending.values()])
        loaded = []
        for run_id, run in pending.items():
            # While the query ran, another caller may have loaded the run, or its partition may have been revoked.
            if self._pending.pop(run_id, None) is None:
                continue
            if contexts[run_id].run_state in TERMINAL_STATES and not (run_id == ending and run.has_progress()):
                self._remember_ended(run_id)
                continue
            self._active[run_id] = active = _activate(run, contexts[run_id])
            loaded.append((active, run.deferred))
        return loaded

    async def load_ended(self, event: events.RunEvent, partition: int) -> ActiveRun | None:
        """Return the stored state of a run that `event` ends; None without one, or where the end was handled before.

        Raises PostgresUnavailable.
        """
        if event.run_id in self._ended:
            return None
        context = (await self._store.load_contexts([(event.run_id, event.job_id)]))[event.run_id]
        if context.estimator_state is None:
            return None
        return _activate(PendingRun(event.run_id, event.job_id, event.tenant_id, partition), context)

    def forget(self, run_id: UUID) -> None:
        """Drop a run that has ended, and ignore its events from now on."""
        self._active.pop(run_id, None)
        self._pending.pop(run_id, None)
        self._remember_ended(run_id)

    def _remember_ended(self, run_id: UUID) -> None:
        self._ended[run_id] = None
        if len(self._ended) > _MAX_ENDED:
            del self._ended[next(iter(self._ended))]

    async def drop_ended(self) -> None:
        """Drop active runs that have ended according to the log, with their stored states. Raises PostgresUnavailable.

        The end of such a run arrived before its other events.
        """
        for run_id in await self._store.find_ended(self._active) if self._active else ():
            self.forget(run_id)
            await self._store.delete_states([run_id])

    def retain_partitions(self, partitions: Iterable[int]) -> None:
        """Drop the runs of all other partitions."""
        retained = frozenset(partitions)
        self._active = {run_id: run for run_id, run in self._active.items() if run.partition in retained}
        self._pending = {run_id: run for run_id, run in self._pending.items() if run.partition in retained}


def _activate(run: PendingRun, context: EstimationContext) -> ActiveRun:
    stored = context.estimator_state
    followed = FollowedRun.begin(context.earlier_runs, context.waits, stored.state["following"] if stored else None)
    active = ActiveRun(run.run_id, run.job_id, run.tenant_id, run.partition, followed)
    if stored is not None:
        active.token, active.seq = stored.token, stored.seq
        active.claim = (stored.state["life"][0], stored.state["life"][1])
    return active
