"""Destinations as the API returns them: without credentials, which no response has (rule D2)."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from job_api.store import destinations as store
from shared.events.values import DestinationKind, DestinationState, DestinationTestStep, Encryption

_ADDRESS: dict[str, Any] = {
    "bucket": "acme-contact-history",
    "prefix": "sluice",
    "region": "eu-central-1",
    "endpoint": None,
    "virtual_host": False,
    "role_arn": "arn:aws:iam::123456789012:role/sluice-delivery",
    "external_id": "3d4c0a5e-6c1b-4b55-8a34-2b8d1f0c9e77",
    "encryption": None,
    "kms_key": None,
    "account": None,
    "host": None,
    "port": None,
    "path": None,
    "user_name": None,
    "host_key": None,
}
CREATED_DESTINATION_EXAMPLE: dict[str, Any] = {
    "id": "7d1f6b1a-3c52-4e0b-9a57-6f0f4f1f2a33",
    "version": 1,
    "name": "Data lake",
    "kind": "s3",
    "state": "active",
    "address": _ADDRESS,
    "key_id": "5f0d0d1c5a0e4b1f",
    "test_state": "untested",
    "tested_at": None,
    "latest_test": None,
    "created_at": "2027-01-03T15:12:09.120000Z",
    "saved_at": "2027-01-03T15:12:09.120000Z",
}
_REQUESTED_TEST: dict[str, Any] = {
    "id": "0a8a6d5e-2f4b-4a8e-9f7d-6c1b1f2e3d44",
    "requested_at": "2027-01-03T15:13:00Z",
    "ended_at": None,
    "steps": [],
    "host_key": None,
    "fingerprint": None,
}
TESTING_DESTINATION_EXAMPLE: dict[str, Any] = CREATED_DESTINATION_EXAMPLE | {"latest_test": _REQUESTED_TEST}
DESTINATION_EXAMPLE: dict[str, Any] = CREATED_DESTINATION_EXAMPLE | {
    "test_state": "failed",
    "latest_test": _REQUESTED_TEST
    | {
        "ended_at": "2027-01-03T15:13:01.480000Z",
        "steps": [
            {"name": "resolve", "state": "passed", "code": None, "message": None},
            {"name": "connect", "state": "passed", "code": None, "message": None},
            {"name": "authenticate", "state": "passed", "code": None, "message": None},
            {
                "name": "write",
                "state": "failed",
                "code": "no-bucket",
                "message": "There is no bucket 'acme-contact-history' in eu-central-1.",
            },
            {"name": "read", "state": "skipped", "code": None, "message": None},
            {"name": "delete", "state": "skipped", "code": None, "message": None},
        ],
    },
}


class Address(BaseModel):
    """Where a destination is; the fields of other kinds are null."""

    bucket: str | None = Field(description="s3, gcs, azure: the bucket or container")
    prefix: str = Field(description="s3, gcs, azure: what the names of all objects begin with")
    region: str | None = Field(description="s3: the bucket's region")
    endpoint: str | None = Field(description="s3, gcs, azure: the store's address; null: the provider's own")
    virtual_host: bool = Field(description="s3: whether the bucket is part of the host's name")
    role_arn: str | None = Field(description="s3: the role that is assumed; null: static keys")
    external_id: str | None = Field(
        description="s3: the external id with which the role is assumed, as its trust policy"
    )
    encryption: Encryption | None = Field(description="s3: how the store is asked to encrypt")
    kms_key: str | None = Field(description="s3: the key for `aws:kms`")
    account: str | None = Field(description="azure: the storage account")
    host: str | None = Field(description="sftp: the server")
    port: int | None = Field(description="sftp: the port; null: 22")
    path: str | None = Field(description="sftp: the folder; null: where a login begins")
    user_name: str | None = Field(description="sftp: the user name")
    host_key: str | None = Field(description="sftp: the server's public key; null until it is confirmed")


class DestinationTestReport(BaseModel):
    """The latest test of a destination: it wrote, read and deleted a small object, as far as it came."""

    id: UUID
    requested_at: datetime
    ended_at: datetime | None = Field(description="null until the result has arrived")
    steps: list[DestinationTestStep]
    host_key: str | None = Field(description="sftp: the key that the server presented")
    fingerprint: str | None = Field(description="sftp: that key's fingerprint, as ssh-keygen shows it")

    @classmethod
    def from_test(cls, test: store.DestinationTest) -> "DestinationTestReport":
        """Return a test as the API shows it."""
        report = test.report
        return cls(
            id=test.test_id,
            requested_at=test.requested_at,
            ended_at=test.ended_at,
            steps=list(report.steps) if report else [],
            host_key=report.host_key if report else None,
            fingerprint=report.fingerprint if report else None,
        )


class Destination(BaseModel):
    """A tenant's own storage, to which files are delivered."""

    id: UUID
    version: int = Field(description="rises with each change; the ETag")
    name: str
    kind: DestinationKind
    state: DestinationState = Field(description="`disabled`: deliveries to it wait")
    address: Address
    key_id: str = Field(description="the delivery key to which the credentials are sealed")
    test_state: Literal["untested", "passed", "failed"] = Field(
        description="how the latest test with this address and these credentials ended"
    )
    tested_at: datetime | None = Field(description="when a test last passed; null: untested")
    latest_test: DestinationTestReport | None = Field(description="null: none since its address or credentials changed")
    created_at: datetime
    saved_at: datetime

    @classmethod
    def from_destination(cls, destination: store.Destination) -> "Destination":
        """Return a destination as the API shows it."""
        test = destination.test
        return cls(
            id=destination.destination_id,
            version=destination.version,
            name=destination.name,
            kind=destination.kind,
            state=destination.state,
            address=Address(**asdict(destination.address)),
            key_id=destination.credentials.key_id,
            test_state=destination.test_state,
            tested_at=destination.tested_at,
            latest_test=DestinationTestReport.from_test(test) if test is not None else None,
            created_at=destination.created_at,
            saved_at=destination.saved_at,
        )


class DestinationPage(BaseModel):
    """A page of destinations."""

    items: list[Destination]
    next: str | None = Field(description="the cursor of the next page; null on the last")
