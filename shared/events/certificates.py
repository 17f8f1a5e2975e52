"""`sluice.certificates`: the certificates of recipients."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSaved:
    """The complete state of a recipient's certificate after a change."""

    certificate_id: UUID
    """The certificate; also the message's key."""
    tenant_id: UUID
    """The tenant that the certificate belongs to."""
    version: int
    """Rises by one with each change; a lower version never replaces a higher one."""
    name: str
    """The certificate's name within its tenant."""
    state: Literal["active", "retired"]
    """`active`: new runs may encrypt to it. `retired`: none does."""
    pem: str
    """The X.509 certificate in PEM form; it holds no private key."""
    fingerprint: str
    """SHA-256 of the certificate's DER form, 64 hexadecimal digits."""
    not_before: datetime
    """Start of the certificate's validity."""
    not_after: datetime
    """End of the certificate's validity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateDeleted:
    """The certificate was removed with its tenant. Followed by a tombstone after 90 days."""

    certificate_id: UUID
    """The certificate; also the message's key."""
    tenant_id: UUID
    """The tenant that the certificate belonged to."""
    version: int
    """Higher than every version of the certificate."""
    deleted_at: datetime
    """When the certificate was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTombstone:
    """The certificate was removed long ago: a message without a value, so that compaction removes its key."""

    certificate_id: UUID
    """The certificate: the message's key."""
