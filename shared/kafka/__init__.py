"""Kafka: producer, consumer, dead letters, and the administration of topics. The only package that imports aiokafka."""

from shared.kafka.consumer import Consumer
from shared.kafka.handling import Handler
from shared.kafka.producer import KafkaUnavailable, Producer
from shared.kafka.replay import Replay

__all__ = ["Consumer", "Handler", "KafkaUnavailable", "Producer", "Replay"]
