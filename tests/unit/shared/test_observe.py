"""Many observations at once are the same as one by one."""

from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.observe import observe_many


@given(some.lists(some.integers(0, 80).map(lambda quarter: quarter / 4)))
def test_many_at_once_are_many(values: list[float]) -> None:
    told = []
    for at_once in (True, False):
        registry = CollectorRegistry()
        histogram = Histogram("h", "h", ["l"], buckets=(1, 2.5, 10), registry=registry).labels("x")
        if at_once:
            observe_many(histogram, values)
        else:
            for value in values:
                histogram.observe(value)
        told.append([line for line in generate_latest(registry).splitlines() if b"created" not in line])
    assert told[0] == told[1]
