"""The product's processes in the local stack: their commands and each one's environment."""

import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.folders import CHECKOUT
from deploy.local.processes import ProcessSpec, plain_environment

SERVICES = ("job_api", "scheduler", "exporter", "history")
SOURCE_TENANT = 101  # the sample's larger tenant


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """What the processes need to know: each other's addresses, and the folders."""

    kafka: str
    databases: dict[str, str]  # a DSN by role
    source: str
    store: Path
    logs: Path
    work: Path  # the processes' working folder: files that a library drops there stay with the state
    history_url: str
    sealing_keys: tuple[str, str] | None = None  # the deliverers' private and public key; None: no delivery


@dataclass(frozen=True)
class ServiceProcess:
    """One process: its name in the stack, and the package and command that it runs."""

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

LOCAL_NETWORKS = "127.0.0.0/8,::1/128"
DELIVERER = ServiceProcess("deliverer", "exporter", "deliver")
"""The process that carries files to customers' own storage, where the stack has keys for it."""
ALL_PROCESSES = (*SERVICE_PROCESSES, DELIVERER)


def service_environment(package: str, addresses: Addresses, extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return a service's environment: its settings, and nothing else of ours."""
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
        variables[f"{prefix}POSTGRES_SYSTEM"] = addresses.databases["job_api_system"]
        if addresses.sealing_keys is not None:
            variables[f"{prefix}DELIVERY_PUBLIC_KEY"] = addresses.sealing_keys[1]
            variables["SLUICE_DELIVERY_ALLOWED_NETWORKS"] = LOCAL_NETWORKS
    return plain_environment(variables | {f"{prefix}{name}": value for name, value in (extra or {}).items()})


def service_spec(process: ServiceProcess, addresses: Addresses, port: int) -> ProcessSpec:
    """Return the command that runs a process with its HTTP server on a port."""
    extra = {"HTTP_PORT": str(port)} | ({"NAME": process.name} if process.package == "exporter" else {})
    return ProcessSpec(
        name=process.name,
        argv=[sys.executable, "-m", process.package, process.command],
        environment=service_environment(process.package, addresses, extra),
        log=addresses.logs / f"{process.name}.log",
        folder=addresses.work,
    )


def deliverer_spec(addresses: Addresses, port: int) -> ProcessSpec:
    """Return the command that runs the deliverer; destinations may be on this machine, for trying it out."""
    assert addresses.sealing_keys is not None
    variables = {
        "SLUICE_KAFKA_BOOTSTRAP": addresses.kafka,
        "SLUICE_LOG_FORMAT": "console",
        "SLUICE_DELIVERY_POSTGRES": addresses.databases["exporter"],
        "SLUICE_DELIVERY_STORE": addresses.store.as_uri(),
        "SLUICE_DELIVERY_PRIVATE_KEYS": addresses.sealing_keys[0],
        "SLUICE_DELIVERY_ALLOWED_NETWORKS": LOCAL_NETWORKS,
        "SLUICE_DELIVERY_NAME": DELIVERER.name,
        "SLUICE_DELIVERY_HTTP_PORT": str(port),
    }
    return ProcessSpec(
        name=DELIVERER.name,
        argv=[sys.executable, "-m", DELIVERER.package, DELIVERER.command],
        environment=plain_environment(variables),
        log=addresses.logs / f"{DELIVERER.name}.log",
        folder=addresses.work,
    )


def setup_spec(name: str, *argv: str, environment: dict[str, str], logs: Path) -> ProcessSpec:
    """Return a command (`python -m ARGV`) that sets something up and ends."""
    return ProcessSpec(
        name=name,
        argv=[sys.executable, "-m", *argv],
        environment=environment,
        log=logs / f"{name}.log",
        folder=CHECKOUT,
        grace=5,
    )
