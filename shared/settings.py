"""Settings from the environment: one frozen class a service, anything unknown or bad refused with its name."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import InvalidSettings

PREFIX = "SLUICE_"
S = TypeVar("S", bound=BaseModel)
SERVICES = ("JOB_API", "SCHEDULER", "EXPORTER", "HISTORY", "PROVISION")


class KafkaSettings(BaseModel):
    """Where Kafka is and how its topics are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka_bootstrap: str = Field(description="Kafka's addresses, host:port, separated by commas", min_length=1)
    kafka_partitions: int = Field(12, ge=1, le=10_000, description="partitions of each topic when it is made")
    kafka_replication: int = Field(
        1, ge=1, le=10, description="replicas of each topic when it is made; 3 in production"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least level that is logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people")


class ServiceSettings(KafkaSettings):
    """What every service needs beside: its own database and an address for health, metrics and API."""

    service: ClassVar[str]

    postgres: str = Field(description="DSN of the service's own role and schema", pattern=r"^postgres(ql)?://")
    postgres_pool: int = Field(10, ge=2, le=500, description="connections to PostgreSQL at most")
    http_host: str = Field("127.0.0.1", description="address to serve health, metrics and API on")
    http_port: int = Field(0, ge=0, le=65535, description="port to serve on; 0 takes a free one")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings. Raises InvalidSettings, which names every variable that is wrong and says how."""
        return load(cls, cls.service, os.environ if environ is None else environ)


def load(settings: type[S], service: str, environ: Mapping[str, str]) -> S:
    """Read `settings` for one service from an environment; `service` is the word in its variables' prefix."""
    names = {variable_name(field, service): field for field in settings.model_fields}
    found, faults = dict[str, str](), list[str]()
    for variable, text in _ours(environ, service):
        base = variable.removesuffix("_FILE")
        field = names.get(variable) or names.get(base)
        if field is None:
            faults.append(f"{variable} is not a setting{_nearest(variable, names)}")
        elif field in found:
            faults.append(f"{base} is given twice, as itself and as {base}_FILE")
        elif variable in names:
            found[field] = text
        else:
            _read_file(variable, text, field, found, faults)
    try:
        made = settings.model_validate(found)
    except ValidationError as error:
        variables = {field: variable for variable, field in names.items()}
        faults += [_fault(variables, each["loc"], each["type"], each["msg"]) for each in error.errors()]
        raise InvalidSettings("; ".join(faults)) from None
    if faults:
        raise InvalidSettings("; ".join(faults))
    return made


def variable_name(field: str, service: str) -> str:
    """Return the environment variable of a field: Kafka's and the log's are common to all services."""
    return PREFIX + (field if field in KafkaSettings.model_fields else f"{service}_{field}").upper()


def _ours(environ: Mapping[str, str], service: str) -> Iterator[tuple[str, str]]:
    others = tuple(f"{PREFIX}{other}_" for other in SERVICES if other != service)
    for variable, text in sorted(environ.items()):
        if variable.startswith(PREFIX) and not variable.startswith(others):
            yield variable, text


def _nearest(variable: str, names: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(variable, names, n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(sorted(names))})"


def _read_file(variable: str, path: str, field: str, found: dict[str, str], faults: list[str]) -> None:
    try:
        found[field] = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{variable}: cannot read {path!r} ({type(error).__name__})")


def _fault(variables: Mapping[str, str], location: tuple[int | str, ...], kind: str, message: str) -> str:
    variable = variables.get(str(location[0]), str(location[0])) if location else "settings"
    # The value itself is left out: it may be a password.
    return f"{variable} is required" if kind == "missing" else f"{variable}: {message}"
