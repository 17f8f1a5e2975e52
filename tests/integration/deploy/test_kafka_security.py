"""Kafka over TLS, with a login or a client certificate: the right ones are accepted, wrong ones rejected."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from shared import codec
from shared.errors import InvalidSettings
from shared.kafka import Consumer, KafkaUnavailable, Producer
from shared.kafka.admin import create_topics
from shared.kafka.letter_replay import list_open_letters
from shared.kafka_access import KafkaAccess, Mechanism
from shared.settings import KafkaSettings, load
from shared.topics import TOPICS
from tests.integration.deploy.conftest import SecureKafka
from tests.support.authority import Authority


@pytest.fixture(params=["PLAIN", "SCRAM-SHA-512"])
def mechanism(request: pytest.FixtureRequest) -> Mechanism:
    given: Mechanism = request.param
    return given


def environment(kafka: SecureKafka, mechanism: Mechanism, folder: Path) -> dict[str, str]:
    password = folder / "kafka-password"
    password.write_text(kafka.password + "\n")
    return {
        "SLUICE_KAFKA_BOOTSTRAP": kafka.login,
        "SLUICE_KAFKA_PARTITIONS": "2",
        "SLUICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "SLUICE_KAFKA_SASL_MECHANISM": mechanism,
        "SLUICE_KAFKA_SASL_USERNAME": "sluice",
        "SLUICE_KAFKA_SASL_PASSWORD_FILE": str(password),
        "SLUICE_KAFKA_CA_FILE": str(kafka.authority.ca),
    }


async def test_every_use_of_kafka_works_over_tls_with_a_login(
    secure_kafka: SecureKafka, mechanism: Mechanism, tmp_path: Path
) -> None:
    topic = TOPICS[0] if mechanism == "PLAIN" else TOPICS[1]
    settings = load(KafkaSettings, "KAFKA", environment(secure_kafka, mechanism, tmp_path))
    assert secure_kafka.password not in repr(settings) + repr(settings.kafka)
    await create_topics(settings)
    stopping = asyncio.Event()

    async def handle(_: object) -> None:
        raise AssertionError("nothing here can be read")

    async with Producer.open(settings.kafka, name="test") as producer:
        consumer = Consumer(
            kafka=settings.kafka, group=f"test-{mechanism}", topics=[topic], handle=handle, producer=producer
        )
        running = asyncio.create_task(consumer.run(stopping))
        # An unreadable message goes to the dead letters: so the consumer has read, and its producer has written.
        await producer.send([codec.Record(topic.name, b"x", b"not an event", ())])
        await read_first(settings.kafka, topic.dead_letter_topic)
        assert len(await list_open_letters(settings.kafka, topic, group=f"test-{mechanism}")) == 1
        stopping.set()
        await running


async def read_first(access: KafkaAccess, topic: str) -> None:
    consumer = AIOKafkaConsumer(topic, **access.client_options(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        await asyncio.wait_for(consumer.getone(), 60)
    finally:
        await consumer.stop()


async def test_a_client_certificate_is_presented_where_kafka_requires_one(secure_kafka: SecureKafka) -> None:
    certificate, key = secure_kafka.authority.sign("client")
    access = KafkaAccess(
        bootstrap=secure_kafka.mutual,
        protocol="SSL",
        ca_file=str(secure_kafka.authority.ca),
        cert_file=str(certificate),
        key_file=str(key),
    )
    async with Producer.open(access, name="test"):
        pass
    with pytest.raises(KafkaUnavailable):
        async with Producer.open(replace(access, cert_file=None, key_file=None), name="test"):
            pass


async def test_a_wrong_password_and_an_untrusted_server_are_rejected(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    good = KafkaAccess(
        bootstrap=secure_kafka.login,
        protocol="SASL_SSL",
        username="sluice",
        password=secure_kafka.password,
        ca_file=str(secure_kafka.authority.ca),
    )
    async with Producer.open(good, name="test"):
        pass
    other = Authority(tmp_path, "another authority")
    for bad in (replace(good, password="wrong"), replace(good, ca_file=str(other.ca))):
        with pytest.raises(KafkaUnavailable):
            async with Producer.open(bad, name="test"):
                pass


async def test_an_invalid_certificate_file_is_reported_by_name(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    access = KafkaAccess(bootstrap=secure_kafka.mutual, protocol="SSL", ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(InvalidSettings, match=r"SLUICE_KAFKA_CA_FILE.*ca\.pem"):
        access.create_ssl_context()
