"""A job's life in any order of commands and events, against a model of the rules J5 to J10 written apart from the code.

The model knows nothing of versions, tables or standings: it remembers what was asked and what has happened, and reads
the rules off that.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from job_api.domain import (
    Draft,
    DraftContext,
    Job,
    JobAction,
    ScheduleDraft,
    TenantCertificate,
    apply_action,
    apply_run_failure,
    apply_slot_fate,
    create_job,
    edit_job,
)
from job_api.errors import OperationRefused
from shared.events.values import ScheduleKind
from shared.timetable import find_next_slot
from tests.support.properties import many_examples

BEGIN = datetime(2026, 11, 24, 10, 30, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
OFFICER = TenantCertificate(
    name="officer", active=True, not_before=BEGIN - HOUR, not_after=BEGIN + timedelta(days=10_000)
)
KINDS = st.sampled_from(["once", "once", "hourly", "daily"])
HOURS = st.one_of(st.none(), st.integers(1, 5))


@dataclass
class Model:
    """What the rules need to remember."""

    once: bool
    at_once: bool
    start: datetime
    switched_off: bool = False
    has_started: bool = False
    failed_in_a_row: int = 0
    given_up: bool = False
    running: set[datetime] = field(default_factory=set)

    def past_its_start(self, now: datetime) -> bool:
        return self.once and (self.at_once or self.has_started or self.start <= now)

    def is_active(self) -> bool:
        if self.once and (self.at_once or self.has_started):
            return False  # J6, J7
        return not self.switched_off and not self.given_up


class Life(RuleBasedStateMachine):
    """One job under commands, passing time, triggers and ends of runs."""

    job: Job
    model: Model

    @initialize(kind=KINDS, hours=HOURS)
    def begin(self, kind: ScheduleKind, hours: int | None) -> None:
        self.now = BEGIN
        self.deleted = False
        self.fired: set[datetime] = set()
        self.job = create_job(self._draft(kind, hours), self._context(), job_id=UUID(int=2), tenant_id=UUID(int=3))
        self.model = self._modelled(kind, hours)
        self.decided = BEGIN - HOUR if hours is None else BEGIN

    def _draft(self, kind: ScheduleKind, hours: int | None) -> Draft:
        start = self.now + hours * HOUR if hours is not None else None
        schedule = ScheduleDraft(kind=kind, start=start, immediately=start is None)
        return Draft(title="t", source="contact_history", type="interaction", schedule=schedule)

    def _context(self) -> DraftContext:
        return DraftContext(now=self.now, source_tenant=7, media_types=("email",), certificates={UUID(int=1): OFFICER})

    def _modelled(self, kind: ScheduleKind, hours: int | None) -> Model:
        return Model(once=kind == "once", at_once=hours is None, start=self.now + (hours or 0) * HOUR)

    def _try(self, command: JobAction) -> str | None:
        """Perform a command; return the refusal's kind."""
        busy = UUID(int=9) if self.model.running else None
        before = self.job
        try:
            self.job = apply_action(self.job, command, now=self.now, run_in_progress=busy)
        except OperationRefused as refused:
            assert self.job is before
            return refused.kind
        return None

    @rule(minutes=st.integers(1, 180))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: not self.deleted)
    @rule()
    def suspend(self) -> None:
        was_past = self.model.past_its_start(self.now)
        assert self._try(JobAction.SUSPEND) is None, "J5: the slider may always be pushed off"
        if not was_past:
            self.model.switched_off = True

    @precondition(lambda self: not self.deleted)
    @rule()
    def resume(self) -> None:
        refusal = self._try(JobAction.RESUME)
        if self.model.past_its_start(self.now):
            assert refusal == "one-time-not-resumable", "J6, J7"
        else:
            assert refusal is None
            self.model.switched_off = self.model.given_up = False
            self.model.failed_in_a_row = 0

    @precondition(lambda self: not self.deleted)
    @rule(kind=KINDS, hours=HOURS)
    def edit(self, kind: ScheduleKind, hours: int | None) -> None:
        refusal = self._try(JobAction.EDIT)
        assert (refusal == "one-time-not-editable") == self.model.once, "J8"
        if refusal is not None:
            return
        before, old = self.job, self.model
        self.job = edit_job(self.job, self._draft(kind, hours), self._context())
        kept = hours is None and old.at_once
        assert (self.job.schedule.start == before.schedule.start) or not kept, "J10: what fired does not fire again"
        self.model = self._modelled(kind, hours)
        if kept:
            self.model.start = old.start
        self.model.switched_off, self.model.given_up = old.switched_off, old.given_up
        self.model.running, self.model.failed_in_a_row = old.running, old.failed_in_a_row
        self.decided = max(
            self.decided, self.now if not (hours is None and not kept) else self.now - timedelta(seconds=1)
        )

    @precondition(lambda self: not self.deleted)
    @rule()
    def run_now(self) -> None:
        assert (self._try(JobAction.RUN) == "one-time-not-run-now") == self.model.once, "S10"

    @precondition(lambda self: not self.deleted)
    @rule()
    def delete(self) -> None:
        assert (self._try(JobAction.DELETE) == "run-in-progress") == bool(self.model.running), "J9"
        self.deleted = not self.model.running

    @precondition(lambda self: not self.deleted)
    @rule()
    def scheduler_decides(self) -> None:
        """The scheduler takes the next slot that is due, and says whether it runs."""
        slot = find_next_slot(self.job.schedule, self.decided)
        if slot is None or slot > self.now:
            return
        self.decided = slot
        created_so = self.model.once and self.model.at_once
        runs = self.job.state == "active" or created_so
        assert slot not in self.fired, "J10: no slot twice"
        if runs:
            self.fired.add(slot)
            self.model.running.add(slot)
            self.model.has_started = True
        self.job = apply_slot_fate(self.job, started=runs, now=self.now)
        if runs and self.model.once:
            assert self.job.state_reason == "one-time", "J7"

    @precondition(lambda self: not self.deleted and self.model.running)
    @rule(failed=st.booleans())
    def run_ends(self, failed: bool) -> None:
        self.model.running.discard(min(self.model.running))
        self.model.failed_in_a_row = self.model.failed_in_a_row + 1 if failed else 0
        if failed:
            was_active = self.model.is_active()
            self.job = apply_run_failure(self.job, self.model.failed_in_a_row, self.now)
            if was_active and self.model.failed_in_a_row >= 5:
                self.model.given_up = True

    @invariant()
    def the_state_is_what_the_rules_say(self) -> None:
        assert (self.job.state == "active") == self.model.is_active()
        assert (self.job.state == "active") == (self.job.state_reason is None)
        if self.model.given_up and not self.model.once:
            assert self.job.state_reason in {"failures", "user"}


Life.TestCase.settings = settings(many_examples(2), stateful_step_count=40)
TestJ5ToJ10InAnyOrder = Life.TestCase
