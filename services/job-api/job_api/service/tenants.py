"""The tenant itself, and the media types that its jobs may choose from."""

from dataclasses import replace
from typing import Any

from job_api.errors import Fault, Invalid
from job_api.store import Actor, Change, Database, identities
from job_api.store.identities import Tenant
from shared.auth import Identity
from shared.clock import Clock

MEDIA_TYPES_MOST = 100
MEDIA_TYPE_MOST = 100


class Tenants:
    """The tenant of whoever asks. New tenants, their names and their numbers in the source are the operator's to give:
    a name is refused when another tenant has it, and nobody is to learn who the others are.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, who: Identity) -> Tenant:
        """Return the caller's tenant."""
        async with self._database.looking(who.tenant_id) as database:
            return await identities.tenant(database, who.tenant_id)

    async def choose_media_types(self, who: Identity, media_types: tuple[str, ...]) -> Tenant:
        """Set what jobs may choose from, from now on; saved jobs keep what they have. Raises Invalid."""
        _check(media_types)
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            before = await identities.locked_tenant(change.database, who.tenant_id)
            after = replace(before, media_types=media_types)
            await identities.choose_media_types(change.database, after)
            change.note("tenant.edit", who.tenant_id, before=_document(before), after=_document(after))
        return after


def _check(media_types: tuple[str, ...]) -> None:
    faults = []
    if not 1 <= len(media_types) <= MEDIA_TYPES_MOST:
        faults.append(Fault("media_types", f"from 1 to {MEDIA_TYPES_MOST} of them"))
    if len(set(media_types)) < len(media_types):
        faults.append(Fault("media_types", "each of them once"))
    faults += [
        Fault(f"media_types.{place}", "as the source's column media_type_id has it, without spaces around it")
        for place, each in enumerate(media_types)
        if not 1 <= len(each) <= MEDIA_TYPE_MOST or each.strip() != each or not each.isprintable()
    ]
    if faults:
        raise Invalid(*faults)


def _document(tenant: Tenant) -> dict[str, Any]:
    return {"media_types": list(tenant.media_types)}
