"""A lease, on a clock of the test's own and a store that behaves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from exporter.errors import LeaseLost
from exporter.runs.lease import Lease
from shared.errors import TransientError

LENGTH = timedelta(seconds=15)


@dataclass
class Time:
    """Time that passes when something waits, or when it is told to."""

    passed: float = 100.0

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


@dataclass
class Leases:
    """The other side: who holds the claim until when, on the same time."""

    time: Time
    until: float = 115.0
    taken: bool = False
    cancel: bool = False
    away: bool = False
    answer_takes: float = 0.0
    renewed: int = 0

    async def renew(self, length: timedelta) -> bool:
        if self.away:
            self.time.passed += self.answer_takes
            raise TransientError("away")
        if self.taken:
            raise LeaseLost("taken")
        self.until = self.time.passed + length.total_seconds()
        self.time.passed += self.answer_takes
        self.renewed += 1
        return self.cancel


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def leases(time: Time) -> Leases:
    return Leases(time)


@pytest.fixture
def lease(time: Time, leases: Leases) -> Lease:
    return Lease(leases.renew, LENGTH, clock=time, monotonic=time.monotonic)


async def test_R2_a_renewed_lease_goes_on(lease: Lease, leases: Leases, time: Time) -> None:
    for _ in range(10):
        time.passed += 5
        await lease.renew()
    assert not lease.over.is_set()
    assert leases.renewed == 10


async def test_R2_this_side_gives_up_before_the_other_takes_over(lease: Lease, leases: Leases, time: Time) -> None:
    leases.away = True
    while not lease.lost:
        time.passed += 1
        await lease.renew()
    assert time.passed < leases.until
    assert lease.over.is_set()
    assert not lease.cancelled


async def test_R2_a_slow_answer_does_not_lengthen_the_lease(lease: Lease, leases: Leases, time: Time) -> None:
    leases.answer_takes = 9
    await lease.renew()
    leases.away, leases.answer_takes = True, 0
    while not lease.lost:
        time.passed += 1
        await lease.renew()
    assert time.passed < leases.until


async def test_R2_a_short_absence_is_survived(lease: Lease, leases: Leases, time: Time) -> None:
    leases.away = True
    time.passed += 5
    await lease.renew()
    leases.away = False
    time.passed += 5
    await lease.renew()
    assert not lease.over.is_set()


async def test_R2_a_lost_claim_ends_it_at_once(lease: Lease, leases: Leases) -> None:
    leases.taken = True
    await lease.renew()
    assert lease.over.is_set()
    assert lease.lost


async def test_R6_a_cancel_is_seen_at_the_renewal(lease: Lease, leases: Leases) -> None:
    leases.cancel = True
    await lease.renew()
    assert lease.over.is_set()
    assert (lease.cancelled, lease.lost) == (True, False)


async def test_R6_a_look_renews_without_waiting(lease: Lease, leases: Leases) -> None:
    leases.cancel = True
    lease.look()
    await lease.keep()
    assert lease.cancelled


def failing(times: int, error: Callable[[], Exception]) -> Callable[[], Awaitable[str]]:
    left = [times]

    async def act() -> str:
        if left[0]:
            left[0] -= 1
            raise error()
        return "done"

    return act


async def test_R2_what_may_pass_is_insisted_on_while_the_lease_lasts(lease: Lease, leases: Leases, time: Time) -> None:
    act = failing(3, lambda: TransientError("away"))
    assert await lease.insist(act) == "done"
    assert time.passed == 100 + 3 * 0.5
    leases.taken = True
    await lease.renew()
    with pytest.raises(LeaseLost):
        await lease.insist(failing(1, lambda: TransientError("away")))


async def test_R2_other_errors_are_not_insisted_on(lease: Lease) -> None:
    with pytest.raises(ValueError, match="wrong"):
        await lease.insist(failing(1, lambda: ValueError("wrong")))
