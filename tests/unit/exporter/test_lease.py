"""A lease, with a simulated clock and a simulated store."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from exporter.errors import LeaseLost
from exporter.runs.lease import Lease
from shared.errors import TransientError

LENGTH = timedelta(seconds=15)


@dataclass
class SimulatedTime:
    """Time that passes when something waits, or when a test advances it."""

    passed: float = 100.0

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


@dataclass
class SimulatedLeases:
    """The store: until when the claim is held, in the same time."""

    time: SimulatedTime
    until: float = 115.0
    is_taken: bool = False
    is_cancelled: bool = False
    is_unavailable: bool = False
    answer_seconds: float = 0.0
    renewed: int = 0

    async def renew(self, length: timedelta) -> bool:
        if self.is_unavailable:
            self.time.passed += self.answer_seconds
            raise TransientError("unavailable")
        if self.is_taken:
            raise LeaseLost("taken")
        self.until = self.time.passed + length.total_seconds()
        self.time.passed += self.answer_seconds
        self.renewed += 1
        return self.is_cancelled


@pytest.fixture
def time() -> SimulatedTime:
    return SimulatedTime()


@pytest.fixture
def leases(time: SimulatedTime) -> SimulatedLeases:
    return SimulatedLeases(time)


@pytest.fixture
def lease(time: SimulatedTime, leases: SimulatedLeases) -> Lease:
    return Lease(leases.renew, LENGTH, clock=time, monotonic=time.monotonic)


async def test_R2_a_renewed_lease_goes_on(lease: Lease, leases: SimulatedLeases, time: SimulatedTime) -> None:
    for _ in range(10):
        time.passed += 5
        await lease.renew()
    assert not lease.ended.is_set()
    assert leases.renewed == 10


async def test_R2_this_side_gives_up_before_the_other_takes_over(
    lease: Lease, leases: SimulatedLeases, time: SimulatedTime
) -> None:
    leases.is_unavailable = True
    while not lease.is_lost:
        time.passed += 1
        await lease.renew()
    assert time.passed < leases.until
    assert lease.ended.is_set()
    assert not lease.is_cancelled


async def test_R2_a_slow_answer_does_not_extend_the_lease(
    lease: Lease, leases: SimulatedLeases, time: SimulatedTime
) -> None:
    leases.answer_seconds = 9
    await lease.renew()
    leases.is_unavailable, leases.answer_seconds = True, 0
    while not lease.is_lost:
        time.passed += 1
        await lease.renew()
    assert time.passed < leases.until


async def test_R2_a_short_outage_is_survived(lease: Lease, leases: SimulatedLeases, time: SimulatedTime) -> None:
    leases.is_unavailable = True
    time.passed += 5
    await lease.renew()
    leases.is_unavailable = False
    time.passed += 5
    await lease.renew()
    assert not lease.ended.is_set()


async def test_R2_a_lost_claim_ends_the_lease_at_once(lease: Lease, leases: SimulatedLeases) -> None:
    leases.is_taken = True
    await lease.renew()
    assert lease.ended.is_set()
    assert lease.is_lost


async def test_R6_a_cancellation_is_found_at_the_renewal(lease: Lease, leases: SimulatedLeases) -> None:
    leases.is_cancelled = True
    await lease.renew()
    assert lease.ended.is_set()
    assert (lease.is_cancelled, lease.is_lost) == (True, False)


async def test_R6_checking_now_renews_without_waiting(lease: Lease, leases: SimulatedLeases) -> None:
    leases.is_cancelled = True
    lease.check_now()
    await lease.keep_renewing()
    assert lease.is_cancelled


def make_failing(times: int, error: Callable[[], Exception]) -> Callable[[], Awaitable[str]]:
    left = [times]

    async def act() -> str:
        if left[0]:
            left[0] -= 1
            raise error()
        return "done"

    return act


async def test_R2_transient_errors_are_retried_while_the_lease_is_held(
    lease: Lease, leases: SimulatedLeases, time: SimulatedTime
) -> None:
    act = make_failing(3, lambda: TransientError("unavailable"))
    assert await lease.retry_while_held(act) == "done"
    assert time.passed == 100 + 3 * 0.5
    leases.is_taken = True
    await lease.renew()
    with pytest.raises(LeaseLost):
        await lease.retry_while_held(make_failing(1, lambda: TransientError("unavailable")))


async def test_R2_other_errors_are_not_retried(lease: Lease) -> None:
    with pytest.raises(ValueError, match="wrong"):
        await lease.retry_while_held(make_failing(1, lambda: ValueError("wrong")))
