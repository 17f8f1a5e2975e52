"""The product's processes as the local stack starts them: their commands, and each one's own environment."""

import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.folders import CHECKOUT
from deploy.local.processes import SERVICE_RANK, Command, plain_environment

SERVICES = ("job_api", "scheduler", "exporter", "history")
SOURCE_TENANT = 101  # the sample's larger tenant


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """What the processes have to know of each other: addresses, and the folder that is the store."""

    kafka: str
    databases: dict[str, str]  # a DSN by service
    source: str
    store: Path
    logs: Path
    work: Path  # the processes' working folder: what a library drops there stays with the state
    history_url: str


@dataclass(frozen=True)
class ServiceProcess:
    """One process: its name, its package and command, and variables beyond those of all."""

    name: str
    package: str
    command: str


SERVICE_PROCESSES = (
    ServiceProcess("job-api", "job_api", "api"),
    ServiceProcess("scheduler", "scheduler", "run"),
    ServiceProcess("exporter-1", "exporter", "run"),
    ServiceProcess("exporter-2", "exporter", "run"),
    ServiceProcess("history-recorder", "history", "recorder"),
    ServiceProcess("history-estimates", "history", "estimates"),
    ServiceProcess("history-api", "history", "api"),
)


def service_environment(package: str, addresses: Addresses, extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return a service's environment: what the contract names, and nothing of ours."""
    prefix = f"SLUICE_{package.upper()}_"
    variables = {
        "SLUICE_KAFKA_BOOTSTRAP": addresses.kafka,
        "SLUICE_LOG_FORMAT": "console",
        f"{prefix}POSTGRES": addresses.databases[package],
    }
    if package in {"exporter", "history"}:
        variables[f"{prefix}STORE"] = addresses.store.as_uri()
    if package in {"exporter", "job_api"}:
        variables[f"{prefix}SOURCE"] = addresses.source
    if package == "job_api":
        variables[f"{prefix}HISTORY_URL"] = addresses.history_url
    return plain_environment(variables | {f"{prefix}{name}": value for name, value in (extra or {}).items()})


def service_command(part: ServiceProcess, addresses: Addresses, port: int) -> Command:
    """Return how a process is started so that it serves on a port."""
    extra = {"HTTP_PORT": str(port)} | ({"NAME": part.name} if part.package == "exporter" else {})
    return Command(
        name=part.name,
        argv=[sys.executable, "-m", part.package, part.command],
        environment=service_environment(part.package, addresses, extra),
        log=addresses.logs / f"{part.name}.log",
        folder=addresses.work,
        rank=SERVICE_RANK,
    )


def step(name: str, argv: list[str], environment: dict[str, str], logs: Path) -> Command:
    """Return a Python command that sets something up and ends."""
    return Command(
        name=name,
        argv=[sys.executable, "-m", *argv],
        environment=environment,
        log=logs / f"{name}.log",
        folder=CHECKOUT,
        rank=SERVICE_RANK,
        grace=5,
    )
