"""Settings from the environment: one frozen class a service, anything unknown or bad refused with its name."""

import difflib
import ipaddress
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.errors import InvalidSettings
from shared.events.values import Role
from shared.kafka_access import KafkaAccess, Mechanism, Protocol
from shared.oidc_access import OidcAccess, is_safe_url

PREFIX = "SLUICE_"
S = TypeVar("S", bound=BaseModel)
SERVICES = ("JOB_API", "SCHEDULER", "EXPORTER", "HISTORY", "PROVISION")
_COMMAND_LINE = {"SLUICE_URL", "SLUICE_TOKEN", "SLUICE_TOKEN_FILE"}
"""Those of the `sluice` command, which may stand in the shell that a process is started from."""


class KafkaSettings(BaseModel):
    """Where Kafka is and how its topics are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka_bootstrap: str = Field(description="Kafka's addresses, host:port, separated by commas", min_length=1)
    kafka_partitions: int = Field(12, ge=1, le=10_000, description="partitions of each topic when it is made")
    kafka_replication: int = Field(
        1, ge=1, le=10, description="replicas of each topic when it is made; 3 in production"
    )
    kafka_security_protocol: Protocol = Field(
        "PLAINTEXT", description="whether Kafka wants TLS (SSL), a login (SASL), or both"
    )
    kafka_sasl_mechanism: Mechanism = Field("SCRAM-SHA-512", description="how the login is done, where there is one")
    kafka_sasl_username: str | None = Field(None, description="name of the login")
    kafka_sasl_password: str | None = Field(None, repr=False, description="password of the login")
    kafka_ca_file: str | None = Field(None, description="PEM file of whom to trust; default: what the system trusts")
    kafka_cert_file: str | None = Field(None, description="PEM file of the certificate to show, with its chain")
    kafka_key_file: str | None = Field(None, description="PEM file of that certificate's key")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least level that is logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people")

    @property
    def kafka(self) -> KafkaAccess:
        """How to reach Kafka."""
        return KafkaAccess(
            bootstrap=self.kafka_bootstrap,
            protocol=self.kafka_security_protocol,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_sasl_username,
            password=self.kafka_sasl_password,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
        )

    @model_validator(mode="after")
    def _kafka_settings_agree(self) -> Self:
        login = (self.kafka_sasl_username, self.kafka_sasl_password)
        if self.kafka.uses_sasl != all(login) or any(login) != all(login):
            raise ValueError("SLUICE_KAFKA_SASL_USERNAME and _PASSWORD belong to a security protocol with SASL, both")
        files = (self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file)
        if any(files) and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError("SLUICE_KAFKA_CA_FILE, _CERT_FILE and _KEY_FILE belong to a security protocol with SSL")
        if bool(self.kafka_cert_file) != bool(self.kafka_key_file):
            raise ValueError("SLUICE_KAFKA_CERT_FILE and SLUICE_KAFKA_KEY_FILE belong together")
        return self


def _pairs(given: object) -> object:
    """Read `a=1,b=2`; what stands before the last `=` may hold others."""
    if not isinstance(given, str):
        return given
    pairs = [each.rpartition("=") for each in given.split(",") if each.strip()]
    if any(not name.strip() or not value.strip() for name, _, value in pairs):
        raise ValueError("give pairs as in 'theirs=ours,theirs=ours'")
    return {name.strip(): value.strip() for name, _, value in pairs}


class OidcSettings(BaseModel):
    """Whose tokens are taken beside our own, by both services that have an API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    oidc_issuer: str | None = Field(None, description="OpenID Connect issuer whose tokens are taken; default: none")
    oidc_audience: str | None = Field(None, description="audience its tokens must be for; several with commas between")
    oidc_roles_claim: str = Field("roles", min_length=1, description="claim of the roles; dots lead into objects")
    oidc_roles: Annotated[dict[str, Role], BeforeValidator(_pairs)] = Field(
        default_factory=dict, description="what its values mean: 'theirs=admin,theirs=viewer'; default: as they stand"
    )
    oidc_tenant_claim: str = Field("tenant", min_length=1, description="claim of the tenant; dots lead into objects")
    oidc_tenants: Annotated[dict[str, UUID], BeforeValidator(_pairs)] = Field(
        default_factory=dict, description="which tenants' ids its values mean: 'theirs=id'; default: they are the ids"
    )
    oidc_leeway: timedelta = Field(
        timedelta(seconds=60), ge=timedelta(0), le=timedelta(minutes=5), description="how far clocks may differ"
    )
    oidc_ca_file: str | None = Field(None, description="PEM file of whom to trust for the issuer's own TLS")

    @property
    def oidc(self) -> OidcAccess | None:
        """Whose tokens are taken, and what their claims mean; None where there is no issuer."""
        if self.oidc_issuer is None or self.oidc_audience is None:
            return None
        return OidcAccess(
            issuer=self.oidc_issuer,
            audiences=tuple(each.strip() for each in self.oidc_audience.split(",") if each.strip()),
            roles_claim=self.oidc_roles_claim,
            roles=self.oidc_roles,
            tenant_claim=self.oidc_tenant_claim,
            tenants=self.oidc_tenants,
            leeway=self.oidc_leeway,
            ca_file=self.oidc_ca_file,
        )

    @model_validator(mode="after")
    def _oidc_settings_agree(self) -> Self:
        if self.oidc is None:
            if self.model_fields_set & OidcSettings.model_fields.keys():
                raise ValueError("SLUICE_OIDC_ISSUER and SLUICE_OIDC_AUDIENCE belong together, and the others to them")
        elif not self.oidc.audiences:
            raise ValueError("SLUICE_OIDC_AUDIENCE names no audience")
        elif not is_safe_url(self.oidc.issuer):
            raise ValueError("SLUICE_OIDC_ISSUER must be an https address (http on this machine only)")
        return self


_SHARED_FIELDS = KafkaSettings.model_fields | OidcSettings.model_fields
_COMMON = {PREFIX + field.upper() for field in _SHARED_FIELDS}


class ServiceSettings(KafkaSettings):
    """What every service needs beside: its own database and an address for health, metrics and API."""

    service: ClassVar[str]

    postgres: str = Field(description="DSN of the service's own role and schema", pattern=r"^postgres(ql)?://")
    postgres_pool: int = Field(10, ge=2, le=500, description="connections to PostgreSQL at most")
    http_host: str = Field("127.0.0.1", description="address to serve health, metrics and API on")
    http_port: int = Field(0, ge=0, le=65535, description="port to serve on; 0 takes a free one")
    http_tls_cert_file: str | None = Field(
        None, description="PEM file of the certificate to serve TLS with, and its chain"
    )
    http_tls_key_file: str | None = Field(None, description="PEM file of that certificate's key")
    http_trusted_proxies: str = Field(
        "127.0.0.1",
        description="addresses and networks of the proxies that are believed when they say where a request comes from "
        "and that it came over TLS (X-Forwarded-For, X-Forwarded-Proto), separated by commas",
    )

    @property
    def trusted_proxies(self) -> list[str]:
        """The proxies that are believed, each an address or a network."""
        return [each.strip() for each in self.http_trusted_proxies.split(",") if each.strip()]

    @model_validator(mode="after")
    def _http_settings_agree(self) -> Self:
        if bool(self.http_tls_cert_file) != bool(self.http_tls_key_file):
            raise ValueError("HTTP_TLS_CERT_FILE and HTTP_TLS_KEY_FILE belong together")
        try:
            for each in self.trusted_proxies:
                ipaddress.ip_network(each)
        except ValueError:
            raise ValueError(
                "HTTP_TRUSTED_PROXIES must be addresses and networks, as in 127.0.0.1,10.0.0.0/8"
            ) from None
        return self

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings. Raises InvalidSettings, which names every variable that is wrong and says how."""
        return load(cls, cls.service, os.environ if environ is None else environ)


def load(settings: type[S], service: str, environ: Mapping[str, str]) -> S:
    """Read `settings` for one service from an environment; `service` is the word in its variables' prefix."""
    names = {to_variable_name(field, service): field for field in settings.model_fields}
    found, faults = dict[str, str](), list[str]()
    for variable, text in _ours(environ, service):
        base = variable.removesuffix("_FILE")
        field = names.get(variable) or names.get(base)
        if field is None and {variable, base} & _COMMON:
            continue  # one environment may serve all, and not everybody needs Kafka
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
        meanings = {field: found.description or "" for field, found in settings.model_fields.items()}
        faults += [_fault(variables, meanings, each["loc"], each["type"], each["msg"]) for each in error.errors()]
        raise InvalidSettings("; ".join(faults)) from None
    if faults:
        raise InvalidSettings("; ".join(faults))
    return made


def to_variable_name(field: str, service: str) -> str:
    """Return the environment variable of a field: Kafka's, the log's and the issuer's are common to all services."""
    return PREFIX + (field if field in _SHARED_FIELDS else f"{service}_{field}").upper()


def _ours(environ: Mapping[str, str], service: str) -> Iterator[tuple[str, str]]:
    others = tuple(f"{PREFIX}{other}_" for other in SERVICES if other != service)
    for variable, text in sorted(environ.items()):
        if variable.startswith(PREFIX) and not variable.startswith(others) and variable not in _COMMAND_LINE:
            yield variable, text


def _nearest(variable: str, names: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(variable, names, n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(sorted(names))})"


def _read_file(variable: str, path: str, field: str, found: dict[str, str], faults: list[str]) -> None:
    try:
        found[field] = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{variable}: cannot read {path!r} ({type(error).__name__})")


def _fault(
    variables: Mapping[str, str],
    meanings: Mapping[str, str],
    location: tuple[int | str, ...],
    kind: str,
    message: str,
) -> str:
    field = str(location[0]) if location else "settings"
    variable = variables.get(field, field)
    # The value itself is left out: it may be a password.
    return f"{variable} is required ({meanings[field]})" if kind == "missing" else f"{variable}: {message}"
