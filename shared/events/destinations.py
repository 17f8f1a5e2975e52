"""`sluice.destinations`: customers' own storage; `sluice.destination-tests`: tests of it, requested and carried out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import (
    DestinationAddress,
    DestinationKind,
    DestinationState,
    DestinationTestStep,
    SealedCredentials,
)

CREDENTIAL_FORMS: Mapping[DestinationKind, tuple[frozenset[str], ...]] = {
    "s3": (frozenset({"access_key_id", "secret_access_key"}), frozenset()),
    "gcs": (frozenset({"service_account_key"}),),
    "azure": (
        frozenset({"account_key"}),
        frozenset({"sas_token"}),
        frozenset({"directory_id", "client_id", "client_secret"}),
    ),
    "sftp": (frozenset({"password"}), frozenset({"private_key"}), frozenset({"private_key", "passphrase"})),
}
"""The fields of a destination's credentials, by kind: exactly one of the sets. All values are text.

Without keys (the empty set), a role is assumed with the deliverer's own identity, so `role_arn` is required.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationSaved:
    """The complete state of a destination after a change."""

    destination_id: UUID
    """The destination; also the message's key."""
    tenant_id: UUID
    """The tenant that the destination belongs to."""
    version: int
    """Rises by one with each change; a lower version never replaces a higher one."""
    name: str
    """The destination's name within its tenant."""
    kind: DestinationKind
    """What kind of storage it is."""
    state: DestinationState
    """`active`: files are delivered to it. `disabled`: deliveries wait."""
    address: DestinationAddress
    """Where it is."""
    credentials: SealedCredentials
    """The sealed credentials, a JSON object with one of the sets of fields of `CREDENTIAL_FORMS`."""
    saved_at: datetime
    """When the change was saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationDeleted:
    """The destination was deleted; its open deliveries are cancelled. Followed by a tombstone after 90 days."""

    destination_id: UUID
    """The destination; also the message's key."""
    tenant_id: UUID
    """The tenant that the destination belonged to."""
    version: int
    """Higher than every version of the destination."""
    deleted_at: datetime
    """When the destination was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTombstone:
    """The destination was deleted long ago: a message without a value, so that compaction removes its key."""

    destination_id: UUID
    """The destination: the message's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDestinationTest:
    """Test a destination: write, read and delete a small object (rule D3). Repeating the command tests once."""

    destination_id: UUID
    """The destination; also the message's key."""
    tenant_id: UUID
    """The tenant that the destination belongs to."""
    test_id: UUID
    """The test; its result bears the same id."""
    version: int
    """The destination's version when the test was requested; this or a later one is tested."""
    requested_by: UUID | None
    """The user who requested it; null when no user did."""
    requested_at: datetime
    """When it was requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTested:
    """A destination was tested. It counts as tested if all steps passed."""

    destination_id: UUID
    """The destination; also the message's key."""
    tenant_id: UUID
    """The tenant that the destination belongs to."""
    test_id: UUID
    """The test."""
    version: int
    """The destination's version that was tested."""
    passed: bool
    """Whether every step passed."""
    steps: tuple[DestinationTestStep, ...]
    """The steps in their order."""
    host_key: str | None
    """The key that an SFTP server presented, in the form of `address.host_key`; null if none was seen."""
    fingerprint: str | None
    """That key's fingerprint as OpenSSH shows it (`SHA256:...`), for a user to compare and confirm."""
    at: datetime
    """When the test ended."""
