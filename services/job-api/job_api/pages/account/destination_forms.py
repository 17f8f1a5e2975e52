"""The forms of destinations: the fields of each kind, and what was typed into them (D1, D2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from job_api.domain.destination_fields import ENCRYPTIONS
from job_api.domain.destinations import list_fields
from job_api.errors import FieldFault
from job_api.pages.kit.formats import capitalize
from job_api.pages.kit.forms import Form
from job_api.store.destinations import Destination
from shared.events.values import DestinationKind

KIND_LABELS: Mapping[DestinationKind, str] = {
    "s3": "Amazon S3 or compatible",
    "gcs": "Google Cloud Storage",
    "azure": "Azure Blob Storage",
    "sftp": "SFTP server",
}


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a form: its name in a destination, its label, and what stands below it."""

    name: str
    label: str
    hint: str = ""
    required: bool = False
    kind: str = "text"


_PREFIX = FormField("prefix", "Folder in it", "What the names of all objects begin with; empty: none.")
_ENDPOINT = FormField(
    "endpoint", "Address of the store", "Only if it is not the provider's own, as in https://objects.example.com."
)
ADDRESS_FIELDS: Mapping[DestinationKind, tuple[FormField, ...]] = {
    "s3": (
        FormField("bucket", "Bucket", required=True),
        FormField("region", "Region", "As in eu-central-1; us-east-1 where the store has none.", required=True),
        _PREFIX,
        _ENDPOINT,
        FormField("virtual_host", "The bucket is part of the host's name", kind="checkbox"),
        FormField(
            "role_arn", "Role to assume", "As in arn:aws:iam::123456789012:role/sluice; then no keys are needed."
        ),
        FormField("encryption", "Encryption by the store", kind="select"),
        FormField("kms_key", "Key for aws:kms", "Empty: the provider's default key."),
    ),
    "gcs": (FormField("bucket", "Bucket", required=True), _PREFIX, _ENDPOINT),
    "azure": (
        FormField("account", "Storage account", required=True),
        FormField("bucket", "Container", required=True),
        _PREFIX,
        _ENDPOINT,
    ),
    "sftp": (
        FormField("host", "Server", "Its name or address.", required=True),
        FormField("port", "Port", "Empty: 22."),
        FormField("path", "Folder", "Empty: where a login begins; with / in front it is absolute."),
        FormField("user_name", "User name", required=True),
        FormField(
            "host_key", "Host key", "As in known_hosts; empty: confirm its fingerprint after a test.", kind="textarea"
        ),
    ),
}
CREDENTIAL_FIELDS: Mapping[DestinationKind, tuple[FormField, ...]] = {
    "s3": (FormField("access_key_id", "Access key id"), FormField("secret_access_key", "Secret access key")),
    "gcs": (FormField("service_account_key", "Key of the service account", "The whole JSON file.", kind="textarea"),),
    "azure": (
        FormField("account_key", "Account key"),
        FormField("sas_token", "Or a shared access signature"),
        FormField("directory_id", "Or an application: directory id"),
        FormField("client_id", "Application id"),
        FormField("client_secret", "Secret of the application"),
    ),
    "sftp": (
        FormField("password", "Password"),
        FormField("private_key", "Or a private key", "From -----BEGIN to its END line.", kind="textarea"),
        FormField("passphrase", "Passphrase of the private key", "If it has one."),
    ),
}
ENCRYPTION_OPTIONS = ("", *ENCRYPTIONS)


def parse_address(kind: DestinationKind, form: Form) -> dict[str, str | int | bool | None]:
    """Return the address in a form; an empty field is None. A port that is no number becomes one that is refused."""
    found: dict[str, str | int | bool | None] = {}
    for field in ADDRESS_FIELDS[kind]:
        text = form.get(field.name).strip()
        match field.name:
            case "virtual_host":
                found[field.name] = text == "yes" or None
            case "port":
                found[field.name] = (int(text) if text.isdecimal() and len(text) < 9 else 0) if text else None
            case _:
                found[field.name] = text or None
    return found


def parse_credentials(kind: DestinationKind, form: Form) -> dict[str, str] | None:
    """Return the credentials in a form, as they were typed or pasted; None if all of its fields are empty."""
    typed = {field.name: form.get(field.name) for field in CREDENTIAL_FIELDS[kind]}
    return {name: value for name, value in typed.items() if value.strip()} or None


def to_values(destination: Destination) -> dict[str, str]:
    """Return the address and name of a destination as texts for its form, which never has its credentials."""
    fields = list_fields(destination.address)
    return {"name": destination.name} | {name: "yes" if value is True else str(value) for name, value in fields.items()}


def keep_values(kind: DestinationKind, form: Form) -> dict[str, str]:
    """Return what was typed into a form, except for credentials, which are never shown again."""
    return {name: form.get(name) for name in ("name", *(field.name for field in ADDRESS_FIELDS[kind]))}


def to_form_errors(faults: tuple[FieldFault, ...]) -> dict[str, str]:
    """Return the errors of fields by the names of the form's fields, each as a sentence."""
    errors: dict[str, str] = {}
    for fault in faults:
        name = fault.field.removeprefix("address.").removeprefix("credentials.")
        errors[name] = f"{errors[name]}; {fault.message}" if name in errors else capitalize(fault.message)
    return errors
