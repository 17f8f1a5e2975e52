"""Settings from the environment: one frozen class for each service; unknown or invalid variables are errors."""

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
from shared.net.addresses import AddressRules
from shared.oidc_access import OidcAccess, is_safe_url

PREFIX = "SLUICE_"
S = TypeVar("S", bound=BaseModel)
SERVICES = ("JOB_API", "SCHEDULER", "EXPORTER", "DELIVERY", "HISTORY", "PROVISION", "MIGRATE")
_COMMAND_LINE = {"SLUICE_URL", "SLUICE_TOKEN", "SLUICE_TOKEN_FILE"}
"""Variables of the `sluice` command, which may be set in the shell that starts a process."""


class KafkaSettings(BaseModel):
    """How to connect to Kafka, how to create topics, and how to log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka_bootstrap: str = Field(description="Kafka's addresses, host:port, separated by commas", min_length=1)
    kafka_partitions: int = Field(12, ge=1, le=10_000, description="partitions of each new topic")
    kafka_replication: int = Field(1, ge=1, le=10, description="replicas of each new topic; 3 in production")
    kafka_security_protocol: Protocol = Field(
        "PLAINTEXT", description="whether Kafka requires TLS (SSL), a login (SASL), or both"
    )
    kafka_sasl_mechanism: Mechanism = Field("SCRAM-SHA-512", description="SASL mechanism of the login")
    kafka_sasl_username: str | None = Field(None, description="user name of the login")
    kafka_sasl_password: str | None = Field(None, repr=False, description="password of the login")
    kafka_ca_file: str | None = Field(None, description="PEM file of trusted CA certificates; default: the system's")
    kafka_cert_file: str | None = Field(None, description="PEM file of the client certificate, with its chain")
    kafka_key_file: str | None = Field(None, description="PEM file of that certificate's private key")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="json for log collectors, console for reading")

    @property
    def kafka(self) -> KafkaAccess:
        """How to connect to Kafka."""
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
            raise ValueError(
                "a security protocol with SASL requires SLUICE_KAFKA_SASL_USERNAME and _PASSWORD, others allow neither"
            )
        files = (self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file)
        if any(files) and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError("SLUICE_KAFKA_CA_FILE, _CERT_FILE and _KEY_FILE require a security protocol with SSL")
        if bool(self.kafka_cert_file) != bool(self.kafka_key_file):
            raise ValueError("set both SLUICE_KAFKA_CERT_FILE and SLUICE_KAFKA_KEY_FILE, or neither")
        return self


def _parse_pairs(value: object) -> object:
    """Parse `a=1,b=2`; a name may itself contain `=`."""
    if not isinstance(value, str):
        return value
    pairs = [each.rpartition("=") for each in value.split(",") if each.strip()]
    if any(not name.strip() or not value.strip() for name, _, value in pairs):
        raise ValueError("must be pairs as in 'theirs=ours,theirs=ours'")
    return {name.strip(): value.strip() for name, _, value in pairs}


class OidcSettings(BaseModel):
    """Which OpenID Connect issuer's tokens the two HTTP services accept, as well as Sluice's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    oidc_issuer: str | None = Field(None, description="OpenID Connect issuer whose tokens are accepted; default: none")
    oidc_audience: str | None = Field(None, description="accepted audiences of its tokens, separated by commas")
    oidc_roles_claim: str = Field(
        "roles", min_length=1, description="claim that holds the roles; dots separate the names of nested objects"
    )
    oidc_roles: Annotated[dict[str, Role], BeforeValidator(_parse_pairs)] = Field(
        default_factory=dict,
        description="roles that its values stand for: 'theirs=admin,theirs=viewer'; default: the values are the roles",
    )
    oidc_tenant_claim: str = Field(
        "tenant", min_length=1, description="claim that holds the tenant; dots separate the names of nested objects"
    )
    oidc_tenants: Annotated[dict[str, UUID], BeforeValidator(_parse_pairs)] = Field(
        default_factory=dict,
        description="tenant ids that its values stand for: 'theirs=id'; default: the values are the ids",
    )
    oidc_leeway: timedelta = Field(
        timedelta(seconds=60),
        ge=timedelta(0),
        le=timedelta(minutes=5),
        description="accepted difference between the clocks",
    )
    oidc_ca_file: str | None = Field(
        None, description="PEM file of trusted CA certificates for the issuer; default: the system's"
    )

    @property
    def oidc(self) -> OidcAccess | None:
        """The accepted issuer, and what its claims mean; None without one."""
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
                raise ValueError(
                    "SLUICE_OIDC_ISSUER and SLUICE_OIDC_AUDIENCE require each other, and SLUICE_OIDC_* both"
                )
        elif not self.oidc.audiences:
            raise ValueError("SLUICE_OIDC_AUDIENCE names no audience")
        elif not is_safe_url(self.oidc.issuer):
            raise ValueError("SLUICE_OIDC_ISSUER must be an https URL (http is allowed for this machine only)")
        return self


class OutgoingSettings(BaseModel):
    """Where Sluice may connect to for customers: public addresses, and networks that the operator allows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delivery_allowed_networks: str = Field(
        "", description="private networks that destinations may be in, separated by commas, as in 10.1.0.0/16"
    )

    @property
    def address_rules(self) -> AddressRules:
        """Which addresses may be reached. Raises InvalidSettings."""
        return AddressRules.parse(self.delivery_allowed_networks.split(","))


_SHARED_FIELDS = KafkaSettings.model_fields | OidcSettings.model_fields | OutgoingSettings.model_fields
_COMMON = {PREFIX + field.upper() for field in _SHARED_FIELDS}


class MigrationSettings(BaseModel):
    """`SLUICE_MIGRATE_*`: the settings of `python -m <service> migrate`, which needs none of its service's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    service: ClassVar[str] = "MIGRATE"

    postgres: str = Field(
        description="DSN of PostgreSQL with the role sluice_owner, which owns the tables", pattern=r"^postgres(ql)?://"
    )

    @classmethod
    def load(cls) -> Self:
        """Read the settings. Raises InvalidSettings, whose message names every invalid variable and says why."""
        return load(cls, cls.service, os.environ)


class ServiceSettings(KafkaSettings):
    """The settings of every service: also its database, and the address of health, metrics and API."""

    service: ClassVar[str]

    postgres: str = Field(description="DSN of PostgreSQL, with the service's role", pattern=r"^postgres(ql)?://")
    postgres_pool: int = Field(10, ge=2, le=500, description="maximum number of connections to PostgreSQL")
    http_host: str = Field("127.0.0.1", description="address to serve health, metrics and API on")
    http_port: int = Field(0, ge=0, le=65535, description="port to serve on; 0 for a free one")
    http_connections: int = Field(
        4_000, ge=50, le=100_000, description="the most connections; above it, the one that waits longest gives way"
    )
    http_tls_cert_file: str | None = Field(None, description="PEM file of the TLS server certificate, with its chain")
    http_tls_key_file: str | None = Field(None, description="PEM file of that certificate's private key")
    http_trusted_proxies: str = Field(
        "127.0.0.1",
        description="addresses and networks of proxies, and of nothing else, separated by commas, whose "
        "X-Forwarded-For and X-Forwarded-Proto headers are trusted",
    )

    @property
    def trusted_proxies(self) -> list[str]:
        """The trusted proxies, each an address or a network."""
        return [each.strip() for each in self.http_trusted_proxies.split(",") if each.strip()]

    @model_validator(mode="after")
    def _http_settings_agree(self) -> Self:
        if bool(self.http_tls_cert_file) != bool(self.http_tls_key_file):
            raise ValueError("set both HTTP_TLS_CERT_FILE and HTTP_TLS_KEY_FILE, or neither")
        try:
            networks = [ipaddress.ip_network(each) for each in self.trusted_proxies]
        except ValueError:
            raise ValueError(
                "HTTP_TRUSTED_PROXIES must be addresses and networks, as in 127.0.0.1,192.0.2.0/28"
            ) from None
        if not all(each.prefixlen for each in networks):
            raise ValueError("HTTP_TRUSTED_PROXIES must not be every address: then any client could claim any address")
        return self

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings. Raises InvalidSettings, whose message names every invalid variable and says why."""
        return load(cls, cls.service, os.environ if environ is None else environ)


def load(settings: type[S], service: str, environ: Mapping[str, str]) -> S:
    """Read `settings` for one service from an environment; `service` is the prefix of its variables, as in SCHEDULER.

    `NAME_FILE` names a file that holds the value of NAME. Raises InvalidSettings, whose message names every invalid
    variable and repeats no value.
    """
    names = {to_variable_name(field, service): field for field in settings.model_fields}
    found, faults = dict[str, str](), list[str]()
    for variable, text in _select_variables(environ, service):
        base = variable.removesuffix("_FILE")
        field = names.get(variable) or names.get(base)
        if field is None and {variable, base} & _COMMON:
            continue  # one environment may serve all services, and some need no Kafka
        if field is None:
            faults.append(f"{variable} is not a setting{_suggest(variable, names)}")
        elif field in found:
            faults.append(f"{base} is set twice, as {base} and as {base}_FILE")
        elif variable in names:
            found[field] = text
        else:
            _read_file(variable, text, field, found, faults)
    try:
        loaded = settings.model_validate(found)
    except ValidationError as error:
        variables = {field: variable for variable, field in names.items()}
        meanings = {field: found.description or "" for field, found in settings.model_fields.items()}
        faults += [
            _describe_fault(variables, meanings, each["loc"], each["type"], each["msg"]) for each in error.errors()
        ]
        raise InvalidSettings("; ".join(faults)) from None
    if faults:
        raise InvalidSettings("; ".join(faults))
    return loaded


def to_variable_name(field: str, service: str) -> str:
    """Return a field's environment variable; fields that several services have bear no service's name."""
    return PREFIX + (field if field in _SHARED_FIELDS else f"{service}_{field}").upper()


def _select_variables(environ: Mapping[str, str], service: str) -> Iterator[tuple[str, str]]:
    others = tuple(f"{PREFIX}{other}_" for other in SERVICES if other != service)
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in _COMMAND_LINE:
            continue
        if not variable.startswith(others) or variable.removesuffix("_FILE") in _COMMON:
            yield variable, text


def _suggest(variable: str, names: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(variable, names, n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(sorted(names))})"


def _read_file(variable: str, path: str, field: str, found: dict[str, str], faults: list[str]) -> None:
    try:
        found[field] = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{variable}: cannot read {path!r} ({type(error).__name__})")


def _describe_fault(
    variables: Mapping[str, str],
    meanings: Mapping[str, str],
    location: tuple[int | str, ...],
    kind: str,
    message: str,
) -> str:
    field = str(location[0]) if location else "settings"
    variable = variables.get(field, field)
    # The value is left out: it may be a password.
    return f"{variable} is required ({meanings[field]})" if kind == "missing" else f"{variable}: {message}"
