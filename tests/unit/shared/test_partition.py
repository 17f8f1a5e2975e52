"""A key's partition is the one that other Kafka clients choose."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as some

from shared.kafka.partition import select_partition


@given(some.binary(max_size=80), some.integers(1, 64))
def test_partitions_equal_those_of_aiokafka(key: bytes, partitions: int) -> None:
    assert select_partition(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])
