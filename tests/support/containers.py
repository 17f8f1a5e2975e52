"""Kafka and PostgreSQL in containers, for tests on a machine where a Docker engine answers."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.jars import KAFKA_VERSION
from deploy.local.kafka_protocol import is_broker_ready
from deploy.local.ports import free_port
from tests.support.wait import eventually_now


def is_docker_available() -> bool:
    """Return whether a Docker engine is available."""
    from testcontainers.core.docker_client import DockerClient

    try:
        return bool(DockerClient(timeout=3).client.ping())
    except Exception:  # no engine, no rights, no context: each raises an error of its own
        return False


@contextmanager
def kafka_container() -> Iterator[str]:
    """Run Apache's image while the body runs, and yield its address; the settings are those of the local process."""
    from testcontainers.core.container import DockerContainer

    port = free_port()
    container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_bind_ports(9092, port)
    host = container.get_container_host_ip()
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{host}:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    with container.with_envs(**settings):
        eventually_now(lambda: is_broker_ready(host, port), timeout=60)
        yield f"{host}:{port}"


@contextmanager
def postgres_container() -> Iterator[str]:
    """Run PostgreSQL's image while the body runs, and yield the administrator's DSN."""
    from testcontainers.postgres import PostgresContainer

    password = secrets.token_urlsafe(16)
    container = PostgresContainer("postgres:18", username="postgres", password=password, dbname="postgres", driver=None)
    with container.with_command("postgres -c max_connections=200 -c fsync=off"):
        yield container.get_connection_url()
