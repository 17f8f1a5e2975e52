"""Certificates: upload, list, retire."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from job_api.domain.drafts import TITLE_MOST
from job_api.errors import Fault, Invalid, Refused
from job_api.store import Actor, Change, Database, Once
from job_api.store import certificates as store
from job_api.store.certificates import Certificate
from job_api.store.change import Answer
from job_api.store.listing import Page, Wish
from shared.auth import Identity
from shared.certificates import CertificateRejected, accept_certificate
from shared.clock import Clock

_SUBJECT_MAX = 1000
_ACTIVE = Wish(sort="created_at", descending=True, filters={"state": "active"}, limit=200)


class Certificates:
    """Certificates of the tenant of whoever asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def upload(
        self, who: Identity, name: str, content: bytes, once: Once, render: Callable[[Certificate], Answer]
    ) -> Answer:
        """Keep a certificate under a name. Raises Invalid (C1), Refused where there is one like it."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            return await change.once(once, lambda: _upload(change, name, content, render))

    async def retire(self, who: Identity, certificate_id: UUID) -> Certificate:
        """Take a certificate out of use for exports to come; again changes nothing. Raises NotFound."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            retired = await store.retire(change.database, who.tenant_id, certificate_id, change.at)
            if retired is None:
                return await store.find(change.database, who.tenant_id, certificate_id)
            change.tell(retired.to_event())
            change.note("certificate.retire", certificate_id, before={"state": "active"}, after=_document(retired))
            return retired

    async def get(self, who: Identity, certificate_id: UUID) -> Certificate:
        """Return a certificate. Raises NotFound."""
        async with self._database.looking(who.tenant_id) as database:
            return await store.find(database, who.tenant_id, certificate_id)

    async def page(self, who: Identity, wish: Wish) -> Page[Certificate]:
        """Return a page of certificates."""
        async with self._database.looking(who.tenant_id) as database:
            return await store.page(database, who.tenant_id, wish)

    async def active(self, who: Identity) -> list[Certificate]:
        """Return those that are not retired, newest first, 200 at most."""
        return (await self.page(who, _ACTIVE)).items

    def now(self) -> datetime:
        """Return the instant that validity is judged at."""
        return self._clock.now()


async def _upload(change: Change, name: str, content: bytes, render: Callable[[Certificate], Answer]) -> Answer:
    name = name.strip()
    if not 1 <= len(name) <= TITLE_MOST or any(ord(each) < 32 for each in name):
        raise Invalid(Fault("name", f"from 1 to {TITLE_MOST} characters, without line breaks"))
    try:
        found = accept_certificate(content, at=change.at)
    except CertificateRejected as error:
        raise Invalid(Fault("pem", str(error))) from None
    new = Certificate(
        certificate_id=uuid4(),
        tenant_id=change.actor.tenant_id,
        name=name,
        pem=found.pem,
        fingerprint=found.fingerprint,
        subject=found.subject[:_SUBJECT_MAX],
        key_bits=found.public_key.key_size,
        not_before=found.not_before,
        not_after=found.not_after,
        created_at=change.at,
    )
    kept = await store.insert(change.database, new)
    if kept is None:
        raise _in_the_way(await store.like(change.database, new), new)
    change.tell(kept.to_event())
    change.note("certificate.upload", kept.certificate_id, after=_document(kept))
    return render(kept)


def _in_the_way(other: Certificate | None, new: Certificate) -> Refused:
    same = other is not None and other.fingerprint == new.fingerprint
    what = (
        f"This very certificate is active as '{other.name}'"
        if other and same
        else "There is an active one of this name"
    )
    extra = {"certificate": str(other.certificate_id)} if other else {}
    return Refused("certificate-exists", f"{what}: retire that one first, or take another.", extra=extra)


def _document(certificate: Certificate) -> dict[str, Any]:
    return {
        "name": certificate.name,
        "state": certificate.state,
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "not_after": certificate.not_after.isoformat(),
    }
