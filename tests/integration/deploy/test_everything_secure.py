"""Every process of the product, with Kafka over TLS with a login, and HTTPS: all become ready and stop cleanly."""

import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ChildProcess, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
from deploy.local.services import SERVICE_PROCESSES, ServiceProcess
from shared.kafka.admin import create_topics
from shared.postgres import migrate
from shared.provision import ProvisionSettings, provision
from shared.settings import KafkaSettings, load
from tests.integration.deploy.conftest import SecureKafka
from tests.support.authority import Authority
from tests.support.servers import PASSWORD, PASSWORDS, Databases
from tests.support.wait import eventually

SERVICES = ("job_api", "scheduler", "exporter", "history")


def common_settings(kafka: SecureKafka, folder: Path) -> dict[str, str]:
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


def own_settings(
    process: ServiceProcess, databases: Databases, database: str, authority: Authority, folder: Path
) -> dict[str, str]:
    certificate, key = authority.sign(f"process-{process.name}", LOOPBACK)
    settings = {
        "POSTGRES": databases.dsn(database, role=process.package, password=PASSWORD),
        "HTTP_PORT": str(free_port()),
        "HTTP_TLS_CERT_FILE": str(certificate),
        "HTTP_TLS_KEY_FILE": str(key),
    }
    if process.package in {"exporter", "history"}:
        settings["STORE"] = folder.as_uri()
    if process.package == "job_api":
        settings["POSTGRES_SYSTEM"] = databases.dsn(database, role="job_api_system", password=PASSWORD)
    if process.package == "exporter":
        settings["SOURCE"] = databases.dsn(database)
    return {f"SLUICE_{process.package.upper()}_{name}": value for name, value in settings.items()}


def start(
    process: ServiceProcess, environment: Mapping[str, str], folder: Path, reaper: Reaper, python: str
) -> ChildProcess:
    return ChildProcess(
        ProcessSpec(
            name=process.name,
            argv=[python, "-m", process.package, process.command],
            environment=plain_environment(dict(environment)),
            log=folder / f"{process.name}.log",
            folder=Path(__file__).parents[3],
        ),
        reaper,
    )


async def test_every_process_works_with_tls_and_a_login(
    secure_kafka: SecureKafka, postgres: Databases, reaper: Reaper, tmp_path: Path
) -> None:

    admin = await postgres.create()
    database = admin.rpartition("/")[2]
    await provision(ProvisionSettings(admin_dsn=admin, **PASSWORDS))
    shared = common_settings(secure_kafka, tmp_path)
    await create_topics(load(KafkaSettings, "KAFKA", shared))
    for service in SERVICES:
        await migrate(postgres.owner_dsn(database, service), service)
    running: dict[str, ChildProcess] = {}
    addresses: dict[str, str] = {}
    for process in reversed(SERVICE_PROCESSES):  # job-api last, since it needs the address of history-api
        if process.package == "job_api":
            shared["SLUICE_JOB_API_HISTORY_URL"] = f"https://{LOOPBACK}:{addresses['history-api']}"
            shared["SLUICE_JOB_API_HISTORY_CA_FILE"] = str(secure_kafka.authority.ca)
        environment = shared | own_settings(process, postgres, database, secure_kafka.authority, tmp_path)
        addresses[process.name] = environment[f"SLUICE_{process.package.upper()}_HTTP_PORT"]
        running[process.name] = start(process, environment, tmp_path, reaper, sys.executable)
    trusting = ssl.create_default_context(cafile=str(secure_kafka.authority.ca))
    async with httpx.AsyncClient(verify=trusting) as client:

        async def ready() -> bool:
            for name, child in running.items():
                assert child.exit_code() is None, (tmp_path / f"{name}.log").read_text()[-2000:]
                try:
                    answer = await client.get(f"https://{LOOPBACK}:{addresses[name]}/readyz", timeout=10)
                except httpx.TransportError:
                    return False
                if answer.status_code != 200:
                    return False
            return True

        await eventually(ready, timeout=120)
        # History's response, passed on by job-api, which would answer 503 if it did not trust the certificate.
        answer = await client.get(f"https://{LOOPBACK}:{addresses['job-api']}/api/v1/runs")
        assert answer.status_code == 401
    for child in running.values():
        child.stop()
    for name, child in running.items():
        assert child.exit_code() == 0, (name, (tmp_path / f"{name}.log").read_text()[-4000:])
    logs = [child.spec.log.read_bytes() for child in running.values()]
    assert secure_kafka.password.encode() not in b"".join(logs)
