"""The certificates of a tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from job_api.errors import NotFound
from job_api.store.database import SQL, select_fields
from job_api.store.lists import CERTIFICATES
from shared.certificate_keys import KeyType, describe_key
from shared.events import CertificateSaved
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection, Record

CertificateState = Literal["active", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A recipient's certificate; `fingerprint` is the SHA-256 of its DER form, in hex."""

    certificate_id: UUID
    tenant_id: UUID
    name: str
    pem: str
    fingerprint: str
    subject: str
    key_type: KeyType
    key_bits: int
    not_before: datetime
    not_after: datetime
    created_at: datetime
    version: int = 1
    state: CertificateState = "active"
    retired_at: datetime | None = None

    @property
    def key(self) -> str:
        """The key in words, such as RSA 3072 or EC P-256."""
        return describe_key(self.key_type, self.key_bits)

    def to_event(self) -> CertificateSaved:
        """Return the event that publishes this version to the exporters."""
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


async def insert(database: Connection, certificate: Certificate, issuer_and_serial: str) -> Certificate | None:
    """Store a new certificate; return None if an active one has its name, fingerprint, or issuer and serial number."""
    statement = SQL.bind(
        "insert_certificate",
        certificate_id=certificate.certificate_id,
        tenant_id=certificate.tenant_id,
        name=certificate.name,
        pem=certificate.pem,
        fingerprint=certificate.fingerprint,
        issuer_and_serial=issuer_and_serial,
        subject=certificate.subject,
        key_type=certificate.key_type,
        key_bits=certificate.key_bits,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        created_at=certificate.created_at,
    )
    row = await database.fetchrow(*statement)
    return _to_certificate(row) if row is not None else None


async def get(database: Connection, tenant_id: UUID, certificate_id: UUID) -> Certificate:
    """Return a certificate. Raises NotFound."""
    row = await database.fetchrow(SQL["certificate"], tenant_id, certificate_id)
    if row is None:
        raise NotFound("certificate")
    return _to_certificate(row)


async def find_conflicting(
    database: Connection, certificate: Certificate, issuer_and_serial: str
) -> Certificate | None:
    """Return the active certificate with a new one's fingerprint or, failing that, issuer and serial, or name."""
    row = await database.fetchrow(
        SQL["conflicting_certificate"],
        certificate.tenant_id,
        issuer_and_serial,
        certificate.fingerprint,
        certificate.name,
    )
    return _to_certificate(row) if row is not None else None


async def list_by_id(database: Connection, tenant_id: UUID, certificate_ids: Sequence[UUID]) -> list[Certificate]:
    """Return those certificates of a tenant that have one of these ids, by name."""
    rows = await database.fetch(SQL["certificates_by_id"], tenant_id, certificate_ids)
    return [_to_certificate(row) for row in rows]


async def list_by_fingerprint(database: Connection, tenant_id: UUID, fingerprints: Sequence[str]) -> list[Certificate]:
    """Return the newest certificate of a tenant with each of these fingerprints; retired ones, too."""
    rows = await database.fetch(SQL["certificates_by_fingerprint"], tenant_id, fingerprints)
    return [_to_certificate(row) for row in rows]


async def list_page(database: Connection, tenant_id: UUID, request: PageRequest) -> Page[Certificate]:
    """Return a page of a tenant's certificates."""
    return (await CERTIFICATES.fetch(database, tenant_id, request)).map(_to_certificate)


async def retire(database: Connection, tenant_id: UUID, certificate_id: UUID, *, at: datetime) -> Certificate | None:
    """Retire a certificate; return it, or None if there is no active one with this id."""
    row = await database.fetchrow(SQL["retire_certificate"], tenant_id, certificate_id, at)
    return _to_certificate(row) if row is not None else None


def _to_certificate(row: Record) -> Certificate:
    return Certificate(**select_fields(row, Certificate))
