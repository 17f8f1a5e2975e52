"""Destinations and the rules of their fields (D1): which each kind has, and what they may hold.

No message repeats a value of credentials, which no error and no log may show (D2).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields

from job_api.domain import destination_fields as fields
from job_api.domain.texts import NAME_HELP, find_text_fault
from job_api.errors import FieldFault, InvalidInput
from shared.events.destinations import CREDENTIAL_FORMS
from shared.events.values import DestinationAddress, DestinationKind, DestinationState

MAX_NAME = 200
AddressFields = Mapping[str, str | int | bool]
"""The address of a destination: the fields that it has, those without a value omitted."""
CredentialFields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KindRules:
    """What the address of destinations of one kind has.

    `recipients` are the fields that decide who receives the credentials, and on whose behalf.
    """

    title: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    recipients: tuple[str, ...]


KINDS: Mapping[DestinationKind, KindRules] = {
    "s3": KindRules(
        "an S3 destination",
        required=("bucket", "region"),
        optional=("prefix", "endpoint", "virtual_host", "role_arn", "encryption", "kms_key"),
        recipients=("endpoint", "region", "role_arn"),
    ),
    "gcs": KindRules(
        "a Google Cloud Storage destination",
        required=("bucket",),
        optional=("prefix", "endpoint"),
        recipients=("endpoint",),
    ),
    "azure": KindRules(
        "an Azure destination",
        required=("account", "bucket"),
        optional=("prefix", "endpoint"),
        recipients=("endpoint", "account"),
    ),
    "sftp": KindRules(
        "an SFTP destination",
        required=("host", "user_name"),
        optional=("port", "path", "host_key"),
        recipients=("host", "port", "user_name", "host_key"),
    ),
}
"""The kinds of destinations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationDraft:
    """A destination as requested, before validation; `credentials` are those sent with the request, if any."""

    name: str
    kind: DestinationKind
    address: Mapping[str, str | int | bool | None]
    credentials: Mapping[str, str | None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationChange:
    """What to change about a destination; None leaves a value as it is."""

    name: str | None = None
    address: Mapping[str, str | int | bool | None] | None = None
    credentials: Mapping[str, str] | None = field(default=None, repr=False)
    state: DestinationState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidDestination:
    """A draft that breaks no rule; `credentials` are None where the present ones stay, empty where none are needed."""

    name: str
    kind: DestinationKind
    address: DestinationAddress
    credentials: CredentialFields | None = field(repr=False)


def validate_destination(draft: DestinationDraft, *, previous: DestinationAddress | None = None) -> ValidDestination:
    """Return a destination as it will be stored. Raises InvalidInput with every fault.

    `previous` is the present address of a destination that is changed: it keeps its credentials if none are sent,
    unless they would go to another recipient than the one that they were entered for.
    """
    name = draft.name.strip()
    address = {key: fields.normalize(key, value) for key, value in draft.address.items() if _is_set(value)}
    given = None if draft.credentials is None else {key: value for key, value in draft.credentials.items() if value}
    before = None if previous is None else list_fields(previous)
    faults = list(_check_name(name))
    faults += _check_address(draft.kind, address)
    faults += _check_credentials(draft.kind, address, given, before)
    if faults:
        raise InvalidInput(*faults)
    stays = given is None and previous is not None
    return ValidDestination(
        name=name,
        kind=draft.kind,
        address=DestinationAddress(**address),
        credentials=None if stays else given or {},
    )


def list_fields(address: DestinationAddress) -> AddressFields:
    """Return the fields of an address that have a value, except the tenant's external id."""
    found = {each.name: getattr(address, each.name) for each in dataclass_fields(address)}
    return {name: value for name, value in found.items() if _is_set(value) and name != "external_id"}


def has_other_recipient(kind: DestinationKind, before: AddressFields, after: AddressFields) -> bool:
    """Return whether credentials entered for one address would go to another recipient with the other."""
    # The first host key that a destination gets is the one that its test has shown: the recipient stays the same.
    first_key = "host_key" not in before
    return any(
        before.get(name) != after.get(name) for name in KINDS[kind].recipients if not (name == "host_key" and first_key)
    )


def _is_set(value: str | int | bool | None) -> bool:
    return value is not None and value is not False and value != ""


def _check_name(name: str) -> Iterator[FieldFault]:
    if not 1 <= len(name) <= MAX_NAME or find_text_fault(name) is not None:
        yield FieldFault("name", NAME_HELP)


def _check_address(kind: DestinationKind, address: AddressFields) -> Iterator[FieldFault]:
    rules = KINDS[kind]
    for name in sorted(set(address) - {*rules.required, *rules.optional}):
        yield FieldFault(f"address.{name}", f"{rules.title} has no {name}")
    for name in rules.required:
        if name not in address:
            yield FieldFault(f"address.{name}", f"{rules.title} needs its {name}: {fields.get_help(kind, name)}")
    for name, value in address.items():
        if name in (*rules.required, *rules.optional) and not fields.is_acceptable(kind, name, value):
            yield FieldFault(f"address.{name}", fields.get_help(kind, name))
    if "kms_key" in address and address.get("encryption") != "aws:kms":
        yield FieldFault("address.kms_key", "is used with the encryption aws:kms only")
    if "virtual_host" in address and "endpoint" not in address:
        yield FieldFault("address.virtual_host", "is used with an endpoint only")
    # S3 signs its requests; the others send what a listener could use.
    if kind != "s3" and str(address.get("endpoint", "")).startswith("http:"):
        yield FieldFault("address.endpoint", "use https: credentials would cross the network unprotected")


def _check_credentials(
    kind: DestinationKind,
    address: AddressFields,
    given: Mapping[str, str | None] | None,
    previous: AddressFields | None,
) -> Iterator[FieldFault]:
    if given is None and previous is not None:
        if has_other_recipient(kind, previous, address):
            names = ", ".join(KINDS[kind].recipients)
            yield FieldFault(
                "credentials", f"enter them again: they would go to another recipient than before ({names})"
            )
        return
    forms = [each for each in CREDENTIAL_FORMS[kind] if each or "role_arn" in address]
    if set(given or {}) not in forms:
        yield FieldFault("credentials", f"{KINDS[kind].title} needs {_describe_forms(kind)}")
    for name, value in (given or {}).items():
        if value is not None and (fault := fields.find_credential_fault(name, value)) is not None:
            yield FieldFault(f"credentials.{name}", fault)


def _describe_forms(kind: DestinationKind) -> str:
    forms = ", or ".join(" and ".join(sorted(each)) for each in CREDENTIAL_FORMS[kind] if each)
    return f"{forms}, or a role_arn and none of them" if kind == "s3" else f"{forms}, and nothing else"
