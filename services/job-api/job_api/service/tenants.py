"""The caller's tenant, and the media types that its jobs may choose from."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from cachetools import LRUCache

from job_api.errors import FieldFault, InvalidInput
from job_api.store import Database, UnitOfWork, identities
from job_api.store.identities import FirstSteps, Tenant
from shared.auth import Identity

MAX_MEDIA_TYPES = 100
MAX_MEDIA_TYPE_LENGTH = 100
_NAMES_CACHED = 4096


class TenantService:
    """The caller's tenant. Only the operator creates tenants, and sets their names and source numbers: a name that
    another tenant has is refused, and no tenant may learn who the others are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # Read once by each process: a tenant's name does not change.
        self._names: LRUCache[UUID, str] = LRUCache(_NAMES_CACHED)

    async def get(self, identity: Identity) -> Tenant:
        """Return the caller's tenant."""
        async with self._database.read(identity.tenant_id) as database:
            return await identities.get_tenant(database, identity.tenant_id)

    async def find_first_steps(self, identity: Identity) -> FirstSteps:
        """Return which of the first steps the caller's tenant has taken. Raises PostgresUnavailable."""
        async with self._database.read(identity.tenant_id) as database:
            return await identities.find_first_steps(database, identity.tenant_id)

    async def get_name(self, identity: Identity) -> str:
        """Return the name of the caller's tenant, cached. Raises PostgresUnavailable."""
        name = self._names.get(identity.tenant_id)
        if name is None:
            name = self._names[identity.tenant_id] = (await self.get(identity)).name
        return name

    async def update_media_types(self, work: UnitOfWork, media_types: tuple[str, ...]) -> Tenant:
        """Set the media types that jobs may choose from; saved jobs keep theirs. Raises InvalidInput."""
        _check_media_types(media_types)
        before = await identities.lock_tenant(work.connection, work.actor.tenant_id)
        after = replace(before, media_types=media_types)
        await identities.update_media_types(work.connection, after)
        work.audit("tenant.edit", after.tenant_id, before=_to_document(before), after=_to_document(after))
        return after


def _check_media_types(media_types: tuple[str, ...]) -> None:
    faults = []
    if not 1 <= len(media_types) <= MAX_MEDIA_TYPES:
        faults.append(FieldFault("media_types", f"from 1 to {MAX_MEDIA_TYPES} media types"))
    if len(set(media_types)) < len(media_types):
        faults.append(FieldFault("media_types", "each media type only once"))
    faults += [
        FieldFault(f"media_types.{place}", "as in the source's column media_type_id, without surrounding spaces")
        for place, each in enumerate(media_types)
        if not 1 <= len(each) <= MAX_MEDIA_TYPE_LENGTH or each.strip() != each or not each.isprintable()
    ]
    if faults:
        raise InvalidInput(*faults)


def _to_document(tenant: Tenant) -> dict[str, Any]:
    return {"media_types": list(tenant.media_types)}
