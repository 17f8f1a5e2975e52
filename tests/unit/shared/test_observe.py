"""Observing many values at once equals observing them one by one."""

from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.observe import observe_many


@given(some.lists(some.integers(0, 80).map(lambda quarter: quarter / 4)))
def test_observing_many_at_once_equals_single_observations(values: list[float]) -> None:
    rendered = []
    for at_once in (True, False):
        registry = CollectorRegistry()
        histogram = Histogram("h", "h", ["l"], buckets=(1, 2.5, 10), registry=registry).labels("x")
        if at_once:
            observe_many(histogram, values)
        else:
            for value in values:
                histogram.observe(value)
        rendered.append([line for line in generate_latest(registry).splitlines() if b"created" not in line])
    assert rendered[0] == rendered[1]
