"""Recipients' certificates: uploading, listing, retiring."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from job_api.domain.drafts import MAX_TITLE
from job_api.domain.texts import NAME_HELP, find_text_fault
from job_api.errors import FieldFault, InvalidInput, NotFound, OperationRefused
from job_api.store import Database, UnitOfWork, recipients
from job_api.store import certificates as store
from job_api.store.certificates import Certificate
from job_api.store.recipients import CertificateUse, DependentJobs
from shared.auth import Identity
from shared.certificates import CertificateRejected, accept_certificate
from shared.clock import Clock
from shared.http.lists import Page, PageRequest
from shared.instants import clamp
from shared.private_keys import contains_private_key

_MAX_SUBJECT = 1000
_ACTIVE = PageRequest(sort="created_at", descending=True, filters={"state": "active"}, limit=200)


class CertificateService:
    """The certificates of the caller's tenant."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def upload(self, work: UnitOfWork, name: str, content: bytes) -> Certificate:
        """Store a certificate under a name.

        Raises InvalidInput (rule C1), and OperationRefused if an active one has its name or fingerprint, or its issuer
        and serial number.
        """
        name = name.strip()
        if not 1 <= len(name) <= MAX_TITLE or find_text_fault(name) is not None:
            raise InvalidInput(FieldFault("name", NAME_HELP))
        if contains_private_key(name.encode("utf-8", "replace")):
            raise InvalidInput(FieldFault("name", "contains a private key, which must stay with its owner"))
        try:
            accepted = accept_certificate(content, at=work.at)
        except CertificateRejected as error:
            raise InvalidInput(FieldFault("pem", str(error))) from None
        new = Certificate(
            certificate_id=uuid4(),
            tenant_id=work.actor.tenant_id,
            name=name,
            pem=accepted.pem,
            fingerprint=accepted.fingerprint,
            subject=accepted.subject[:_MAX_SUBJECT],
            key_type=accepted.key_type,
            key_bits=accepted.public_key.key_size,
            not_before=clamp(accepted.not_before),
            not_after=clamp(accepted.not_after),
            created_at=work.at,
        )
        stored = await store.insert(work.connection, new, accepted.issuer_and_serial)
        if stored is None:
            other = await store.find_conflicting(work.connection, new, accepted.issuer_and_serial)
            raise _refuse_duplicate(other, new)
        work.emit(stored.to_event())
        work.audit("certificate.upload", stored.certificate_id, after=_to_document(stored))
        return stored

    async def retire(self, work: UnitOfWork, certificate_id: UUID) -> Certificate:
        """Use a certificate for no further export; repeating it changes nothing. Raises NotFound."""
        retired = await store.retire(work.connection, work.actor.tenant_id, certificate_id, at=work.at)
        if retired is None:
            return await store.get(work.connection, work.actor.tenant_id, certificate_id)
        work.emit(retired.to_event())
        work.audit("certificate.retire", certificate_id, before={"state": "active"}, after=_to_document(retired))
        return retired

    async def get(self, identity: Identity, certificate_id: UUID) -> Certificate:
        """Return a certificate. Raises NotFound."""
        async with self._database.read(identity.tenant_id) as database:
            return await store.get(database, identity.tenant_id, certificate_id)

    async def list_recipients(self, identity: Identity, certificate_ids: Sequence[UUID] | None) -> list[Certificate]:
        """Return the certificates that a job names, by name; for None those that are active, as exporters do."""
        if certificate_ids is None:
            return await self.list_active(identity)
        async with self._database.read(identity.tenant_id) as database:
            return await store.list_by_id(database, identity.tenant_id, certificate_ids)

    async def list_by_fingerprint(self, identity: Identity, fingerprints: Sequence[str]) -> list[Certificate]:
        """Return the certificates that have these fingerprints; retired ones, too."""
        async with self._database.read(identity.tenant_id) as database:
            return await store.list_by_fingerprint(database, identity.tenant_id, fingerprints)

    async def find_uses(self, identity: Identity, certificate_ids: Sequence[UUID]) -> dict[UUID, CertificateUse]:
        """Return how many jobs encrypt for each of these certificates, and when it was last used."""
        async with self._database.read(identity.tenant_id) as database:
            return await recipients.find_uses(database, identity.tenant_id, certificate_ids)

    async def get_use(self, identity: Identity, certificate_id: UUID) -> CertificateUse:
        """Return how many jobs encrypt for a certificate, and when it was last used. Raises NotFound."""
        uses = await self.find_uses(identity, [certificate_id])
        if certificate_id not in uses:
            raise NotFound("certificate")
        return uses[certificate_id]

    async def find_dependent_jobs(self, identity: Identity, certificate_id: UUID) -> DependentJobs:
        """Return the jobs whose runs would fail if a certificate were retired."""
        async with self._database.read(identity.tenant_id) as database:
            return await recipients.find_dependent_jobs(database, identity.tenant_id, certificate_id)

    async def list_page(self, identity: Identity, request: PageRequest) -> Page[Certificate]:
        """Return a page of certificates."""
        async with self._database.read(identity.tenant_id) as database:
            return await store.list_page(database, identity.tenant_id, request)

    async def list_active(self, identity: Identity) -> list[Certificate]:
        """Return the active certificates, newest first, at most 200."""
        return (await self.list_page(identity, _ACTIVE)).items

    def now(self) -> datetime:
        """Return the instant at which validity is judged."""
        return self._clock.now()


def _refuse_duplicate(other: Certificate | None, new: Certificate) -> OperationRefused:
    if other is None:
        detail = "A certificate with this name or key was retired just now: upload this one again."
        return OperationRefused("certificate-exists", detail)
    if other.fingerprint == new.fingerprint:
        what = f"This certificate is already active as '{other.name}'"
    elif other.name.lower() == new.name.lower():
        what = "An active certificate has this name"
    else:
        what = (
            f"The active certificate '{other.name}' has the same issuer and serial number, by which programs find the "
            "key that opens a file, so one of the two owners could open nothing"
        )
    detail = f"{what}: retire that one first, or choose another."
    return OperationRefused("certificate-exists", detail, extra={"certificate": str(other.certificate_id)})


def _to_document(certificate: Certificate) -> dict[str, Any]:
    return {
        "name": certificate.name,
        "state": certificate.state,
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "not_after": certificate.not_after.isoformat(),
    }
