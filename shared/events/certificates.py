"""`sluice.certificates`: recipients' public certificates."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSaved:
    """A certificate as it stands after a change; `fingerprint` is the SHA-256 of its DER form, hex."""

    certificate_id: UUID
    tenant_id: UUID
    version: int
    name: str
    state: Literal["active", "retired"]
    pem: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
