"""Every process of the product at once, Kafka over TLS with a login, HTTPS served: all become ready, and stop well."""

import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.local.parts import PARTS, Part
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import Command, Running, Warden, plain_environment
from shared.kafka.admin import create_topics
from shared.postgres import migrate
from shared.provision import ProvisionSettings, provision
from shared.settings import KafkaSettings, load
from tests.integration.deploy.authority import Authority
from tests.integration.deploy.conftest import SecureKafka
from tests.support.servers import Databases
from tests.support.wait import eventually

PASSWORD = "test-password"
SERVICES = ("job_api", "scheduler", "exporter", "history")


def common(kafka: SecureKafka, folder: Path) -> dict[str, str]:
    (folder / "kafka-password").write_text(kafka.password)
    return {
        "SLUICE_KAFKA_BOOTSTRAP": kafka.login,
        "SLUICE_KAFKA_PARTITIONS": "2",
        "SLUICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "SLUICE_KAFKA_SASL_USERNAME": "sluice",
        "SLUICE_KAFKA_SASL_PASSWORD_FILE": str(folder / "kafka-password"),
        "SLUICE_KAFKA_CA_FILE": str(kafka.authority.ca),
        "SLUICE_LOG_FORMAT": "console",
    }


def own(part: Part, databases: Databases, database: str, authority: Authority, folder: Path) -> dict[str, str]:
    certificate, key = authority.sign(f"process-{part.name}", LOOPBACK)
    settings = {
        "POSTGRES": databases.dsn(database, role=part.package, password=PASSWORD),
        "HTTP_PORT": str(free_port()),
        "HTTP_TLS_CERT_FILE": str(certificate),
        "HTTP_TLS_KEY_FILE": str(key),
    }
    if part.package in {"exporter", "history"}:
        settings["STORE"] = folder.as_uri()
    if part.package == "exporter":
        settings["SOURCE"] = databases.dsn(database)
    return {f"SLUICE_{part.package.upper()}_{name}": value for name, value in settings.items()}


def start(part: Part, environment: Mapping[str, str], folder: Path, warden: Warden, python: str) -> Running:
    return Running(
        Command(
            name=part.name,
            words=[python, "-m", part.package, part.command],
            environment=plain_environment(dict(environment)),
            log=folder / f"{part.name}.log",
            folder=Path(__file__).parents[3],
        ),
        warden,
    )


async def test_every_process_works_with_tls_and_a_login(
    secure_kafka: SecureKafka, postgres: Databases, warden: Warden, tmp_path: Path
) -> None:

    admin = await postgres.fresh()
    database = admin.rpartition("/")[2]
    await provision(ProvisionSettings(admin_dsn=admin, **{f"{each}_password": PASSWORD for each in SERVICES}))
    shared = common(secure_kafka, tmp_path)
    await create_topics(load(KafkaSettings, "KAFKA", shared))
    for service in SERVICES:
        await migrate(postgres.dsn(database, role=service, password=PASSWORD), service)
    running: dict[str, Running] = {}
    addresses: dict[str, str] = {}
    for part in reversed(PARTS):  # job-api last: it has to know where history-api is
        if part.package == "job_api":
            shared["SLUICE_JOB_API_HISTORY_URL"] = f"https://{LOOPBACK}:{addresses['history-api']}"
            shared["SLUICE_JOB_API_HISTORY_CA_FILE"] = str(secure_kafka.authority.ca)
        environment = shared | own(part, postgres, database, secure_kafka.authority, tmp_path)
        addresses[part.name] = environment[f"SLUICE_{part.package.upper()}_HTTP_PORT"]
        running[part.name] = start(part, environment, tmp_path, warden, sys.executable)
    trusting = ssl.create_default_context(cafile=str(secure_kafka.authority.ca))
    async with httpx.AsyncClient(verify=trusting) as client:

        async def ready() -> bool:
            for name, process in running.items():
                assert process.exit_code() is None, (tmp_path / f"{name}.log").read_text()[-2000:]
                try:
                    answer = await client.get(f"https://{LOOPBACK}:{addresses[name]}/readyz", timeout=10)
                except httpx.TransportError:
                    return False
                if answer.status_code != 200:
                    return False
            return True

        await eventually(ready, timeout=120)
        # History's own answer, passed on by job-api: had it not trusted the certificate, it would have said 503.
        answer = await client.get(f"https://{LOOPBACK}:{addresses['job-api']}/api/v1/runs")
        assert answer.status_code == 401
    for process in running.values():
        process.stop()
    assert {name: process.exit_code() for name, process in running.items()} == dict.fromkeys(running, 0)
    logs = [process.command.log.read_bytes() for process in running.values()]
    assert secure_kafka.password.encode() not in b"".join(logs)
