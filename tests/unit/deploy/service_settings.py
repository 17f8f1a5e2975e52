"""Checks that the variables which a deployment sets for a process are settings of that process."""

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from deploy.docker.runtime_lock import ROOT
from exporter.delivery.settings import Settings as DeliverySettings
from shared.provision import ProvisionSettings
from shared.settings import KafkaSettings, MigrationSettings, load, to_variable_name


def image_environment() -> dict[str, str]:
    """Return the SLUICE_ variables that every image sets."""
    text = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    return dict(re.findall(r"(SLUICE_\w+)=(\S+)", text))


def known_variables() -> set[str]:
    """Return every variable that some process of the product accepts."""
    packages = ("job_api", "scheduler", "exporter", "history")
    classes: dict[str, type[BaseModel]] = {
        package.upper(): importlib.import_module(f"{package}.settings").Settings for package in packages
    }
    classes |= {each.service: each for each in (ProvisionSettings, MigrationSettings, DeliverySettings)}
    return {to_variable_name(field, name) for name, settings in classes.items() for field in settings.model_fields}


def load_settings(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> BaseModel:
    """Load what the process `python -m ARGV` would; the files of secrets are created in `folder`.

    Raises InvalidSettings as the process would, naming the unknown, missing and wrong variables.
    """
    given = image_environment() | dict(environment)
    for name, value in environment.items():
        if name.endswith("_FILE") and name.startswith("SLUICE_"):
            stand_in = folder / value.strip("/").replace("/", "-")
            stand_in.write_text("postgresql://role:secret@postgres/sluice", encoding="utf-8")
            given[name] = str(stand_in)
    match argv[0]:
        case "shared.kafka_admin":
            return load(KafkaSettings, "KAFKA", given)
        case "shared.provision":
            return load(ProvisionSettings, "PROVISION", given)
        case _ if argv[1:] == ["migrate"]:
            return load(MigrationSettings, "MIGRATE", given)
        case _ if argv[1:] == ["deliver"]:
            return load(DeliverySettings, DeliverySettings.service, given)
        case package:
            settings: type[BaseModel] = importlib.import_module(f"{package}.settings").Settings
            return load(settings, package.upper(), given)
