"""Kafka: the producer, the consumer runtime and the topics' administration. aiokafka is used here and nowhere else."""

from shared.kafka.consumer import Consumer, Handler
from shared.kafka.producer import KafkaUnavailable, Producer
from shared.kafka.replay import Replay

__all__ = ["Consumer", "Handler", "KafkaUnavailable", "Producer", "Replay"]
