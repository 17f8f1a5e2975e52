"""Leases expire by how long this exporter saw no heartbeat, on its own monotonic clock (R2)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from exporter.runs.lease_watch import LeaseWatch
from exporter.store.leases import HeldLease

LENGTH = timedelta(seconds=15)
LEASE = HeldLease(
    run_id=UUID(int=1),
    kind=None,
    number=None,
    token=1,
    heartbeat=1,
    until=datetime(2026, 11, 24, tzinfo=UTC),
    length=LENGTH,
)


@dataclass
class Seconds:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_R2_a_lease_without_a_heartbeat_expires_after_its_length() -> None:
    clock = Seconds()
    watch = LeaseWatch[HeldLease](LENGTH, monotonic=clock)
    assert watch.find_expired([LEASE]) == [], "an exporter that has just started waits for one lease"
    assert watch.get_seconds_to_expiry() == 15
    clock.now += 14.9
    assert watch.find_expired([LEASE]) == []
    clock.now += 0.1
    assert watch.find_expired([LEASE]) == [LEASE]


def test_R2_a_heartbeat_a_takeover_and_an_earlier_release_s_renewal_begin_anew() -> None:
    for renewed in (
        replace(LEASE, heartbeat=2),
        replace(LEASE, token=2),
        replace(LEASE, until=LEASE.until - timedelta(seconds=150)),
    ):
        clock = Seconds()
        watch = LeaseWatch[HeldLease](LENGTH, monotonic=clock)
        watch.find_expired([LEASE])
        clock.now += 14
        assert watch.find_expired([renewed]) == []
        clock.now += 14
        assert watch.find_expired([renewed]) == []
        clock.now += 1
        assert watch.find_expired([renewed]) == [renewed]


def test_R2_instants_in_the_database_do_not_matter() -> None:
    clock = Seconds()
    watch = LeaseWatch[HeldLease](LENGTH, monotonic=clock)
    past = replace(LEASE, until=datetime(1970, 1, 1, tzinfo=UTC))
    future = replace(LEASE, run_id=UUID(int=2), until=datetime(2999, 1, 1, tzinfo=UTC))
    assert watch.find_expired([past, future]) == []
    clock.now += 15
    assert watch.find_expired([past, future]) == [past, future]


def test_R2_each_lease_has_its_holder_s_length_and_ended_ones_are_forgotten() -> None:
    clock = Seconds()
    watch = LeaseWatch[HeldLease](LENGTH, monotonic=clock)
    longer = replace(LEASE, run_id=UUID(int=2), length=timedelta(minutes=1))
    unknown = replace(LEASE, run_id=UUID(int=3), length=None)
    watch.find_expired([LEASE, longer, unknown])
    clock.now += 15
    assert watch.find_expired([longer, unknown]) == [unknown]
    assert watch.get_seconds_to_expiry() == 0
    assert watch.find_expired([LEASE]) == [], "it was gone meanwhile"
    assert watch.find_expired([]) == []
    assert watch.get_seconds_to_expiry() is None
