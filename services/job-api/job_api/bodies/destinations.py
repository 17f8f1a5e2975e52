"""The JSON bodies that create and change destinations. Credentials are write-only: no response has them (rule D2)."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, SecretStr, WithJsonSchema

from job_api.bodies.fields import Body
from job_api.domain.destination_fields import HELP, MAX_PATH, MAX_PORT
from job_api.domain.destinations import MAX_NAME, DestinationChange, DestinationDraft
from job_api.domain.texts import NAME_HELP
from shared.events.values import DestinationKind, DestinationState, Encryption

_MAX_TEXT = 4_096
_MAX_SECRET = 16_384
# An omitted field stays as it is, so no default is ever read.
_UNSET: Any = None

Text = Annotated[str, Field(max_length=_MAX_TEXT)]
Secret = Annotated[SecretStr, Field(max_length=_MAX_SECRET)]
Port = Annotated[
    int,
    Field(strict=True, ge=-(2**31), le=2**31),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_PORT}),
]
Name = Annotated[
    str, Field(max_length=_MAX_TEXT), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME})
]
Folder = Annotated[
    str, Field(max_length=_MAX_TEXT), WithJsonSchema({"type": "string", "minLength": 0, "maxLength": MAX_PATH})
]


class AddressBody(Body):
    """Where a destination is: only the fields of its kind."""

    bucket: Text | None = Field(None, description=f"s3, gcs: {HELP['bucket']}; azure: {HELP['container']}")
    prefix: Folder | None = Field(None, description=f"s3, gcs, azure: {HELP['prefix']}")
    region: Text | None = Field(None, description=f"s3: {HELP['region']}")
    endpoint: Text | None = Field(None, description=f"s3, gcs, azure: {HELP['endpoint']}; null: the provider's own")
    virtual_host: bool | None = Field(None, strict=True, description=f"s3: {HELP['virtual_host']}")
    role_arn: Text | None = Field(None, description=f"s3: {HELP['role_arn']}; null: static keys")
    encryption: Encryption | None = Field(None, description=f"s3: {HELP['encryption']}")
    kms_key: Text | None = Field(None, description=f"s3: {HELP['kms_key']}")
    account: Text | None = Field(None, description=f"azure: {HELP['account']}")
    host: Text | None = Field(None, description=f"sftp: {HELP['host']}")
    port: Port | None = Field(None, description=f"sftp: {HELP['port']}; null: 22")
    path: Folder | None = Field(None, description=f"sftp: {HELP['path']}; null: where a login begins")
    user_name: Text | None = Field(None, description=f"sftp: {HELP['user_name']}")
    host_key: Text | None = Field(None, description=f"sftp: {HELP['host_key']}; null: to be confirmed after a test")


class CredentialsBody(Body):
    """The credentials of a destination: exactly one of the sets of its kind. They can be written and never read."""

    access_key_id: Secret | None = Field(None, description="s3, without a role: the id of the access key")
    secret_access_key: Secret | None = Field(None, description="s3, without a role: the secret of the access key")
    service_account_key: Secret | None = Field(None, description="gcs: the JSON file of the service account's key")
    account_key: Secret | None = Field(None, description="azure: the key of the storage account")
    sas_token: Secret | None = Field(None, description="azure: a shared access signature, instead of the account key")
    directory_id: Secret | None = Field(None, description="azure: the directory of the application, instead of a key")
    client_id: Secret | None = Field(None, description="azure: the id of the application")
    client_secret: Secret | None = Field(None, description="azure: the secret of the application")
    password: Secret | None = Field(None, description="sftp: the password")
    private_key: Secret | None = Field(None, description="sftp: a private key in OpenSSH's or PEM form, instead of one")
    passphrase: Secret | None = Field(None, description="sftp: the passphrase of the private key, if it has one")

    def reveal(self) -> dict[str, str]:
        """Return the credentials that are set, in plain text, to be sealed at once."""
        found: Mapping[str, SecretStr | None] = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value.get_secret_value() for name, value in found.items() if value is not None}


BUCKET_EXAMPLE: dict[str, Any] = {
    "name": "Data lake",
    "kind": "s3",
    "address": {
        "bucket": "acme-contact-history",
        "prefix": "sluice",
        "region": "eu-central-1",
        "role_arn": "arn:aws:iam::123456789012:role/sluice-delivery",
    },
}
SERVER_EXAMPLE: dict[str, Any] = {
    "name": "Archive",
    "kind": "sftp",
    "address": {"host": "sftp.example.com", "path": "incoming/sluice", "user_name": "sluice"},
    "credentials": {"password": "correct horse battery staple"},
}


class DestinationBody(Body):
    """A destination to create."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [BUCKET_EXAMPLE, SERVER_EXAMPLE]}
    )

    name: Name = Field(description=NAME_HELP)
    kind: DestinationKind
    address: AddressBody
    credentials: CredentialsBody | None = Field(None, description="not needed for an S3 role")

    def to_domain(self) -> DestinationDraft:
        """Return the draft, not yet validated."""
        return DestinationDraft(
            name=self.name,
            kind=self.kind,
            address=self.address.model_dump(exclude_none=True),
            credentials=self.credentials.reveal() if self.credentials is not None else None,
        )


class DestinationPatch(Body):
    """Changes to a destination: a field that is omitted stays as it is, null removes a field of the address.

    Credentials are replaced as a whole. They must be sent again with an address that would bring them to another
    recipient.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"state": "disabled"}, {"name": "Data lake 2"}]}
    )

    name: Name = Field(_UNSET, description=NAME_HELP)
    state: DestinationState = Field(_UNSET, description="`disabled`: deliveries to it wait")
    address: AddressBody = Field(_UNSET, description="the fields to change")
    credentials: CredentialsBody = Field(_UNSET, description="new credentials, which replace the present ones")

    def to_change(self) -> DestinationChange:
        """Return the change, not yet validated."""
        return DestinationChange(
            name=self.name,
            state=self.state,
            address=self.address.model_dump(exclude_unset=True) if self.address is not None else None,
            credentials=self.credentials.reveal() if self.credentials is not None else None,
        )


class HostKeyBody(Body):
    """The host key that was confirmed, by its fingerprint."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"fingerprint": "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDgczYaBPbKzwkZyLs"}]},
    )

    fingerprint: str = Field(max_length=100, description="as the latest test shows it, compared with the server's own")
