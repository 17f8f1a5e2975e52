"""Certificates of a tenant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from job_api.errors import NotFound
from job_api.store.database import SQL, taken
from job_api.store.listing import Page, Wish
from job_api.store.lists import CERTIFICATES
from shared.events import CertificateSaved
from shared.postgres import Connection, Record

State = Literal["active", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A recipient's certificate; `fingerprint` is the SHA-256 of its DER form, hex."""

    certificate_id: UUID
    tenant_id: UUID
    name: str
    pem: str
    fingerprint: str
    subject: str
    key_bits: int
    not_before: datetime
    not_after: datetime
    created_at: datetime
    version: int = 1
    state: State = "active"
    retired_at: datetime | None = None

    def to_event(self) -> CertificateSaved:
        """Return what tells the exporters of this version."""
        return CertificateSaved(
            certificate_id=self.certificate_id,
            tenant_id=self.tenant_id,
            version=self.version,
            name=self.name,
            state=self.state,
            pem=self.pem,
            fingerprint=self.fingerprint,
            not_before=self.not_before,
            not_after=self.not_after,
        )


async def insert(database: Connection, new: Certificate) -> Certificate | None:
    """Keep a new certificate; return None when an active one of its name or fingerprint is there."""
    row = await database.fetchrow(
        SQL["insert_certificate"],
        new.certificate_id,
        new.tenant_id,
        new.name,
        new.pem,
        new.fingerprint,
        new.subject,
        new.key_bits,
        new.not_before,
        new.not_after,
        new.created_at,
    )
    return _certificate(row) if row is not None else None


async def find(database: Connection, tenant_id: UUID, certificate_id: UUID) -> Certificate:
    """Return a certificate. Raises NotFound."""
    row = await database.fetchrow(SQL["certificate"], tenant_id, certificate_id)
    if row is None:
        raise NotFound("certificate")
    return _certificate(row)


async def like(database: Connection, new: Certificate) -> Certificate | None:
    """Return the active certificate that stands in a new one's way, by fingerprint first."""
    row = await database.fetchrow(SQL["certificate_like"], new.tenant_id, new.fingerprint, new.name)
    return _certificate(row) if row is not None else None


async def page(database: Connection, tenant_id: UUID, wish: Wish) -> Page[Certificate]:
    """Return a page of a tenant's certificates."""
    return (await CERTIFICATES.page(database, tenant_id, wish)).of(_certificate)


async def retire(database: Connection, tenant_id: UUID, certificate_id: UUID, at: datetime) -> Certificate | None:
    """Take a certificate out of use; return it, or None when it is retired already."""
    row = await database.fetchrow(SQL["retire_certificate"], tenant_id, certificate_id, at)
    return _certificate(row) if row is not None else None


def _certificate(row: Record) -> Certificate:
    return Certificate(**taken(row, Certificate))
