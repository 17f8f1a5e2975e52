"""The first tenant of an installation, with its administrator and API key."""

import secrets
from typing import Any
from uuid import uuid4

from job_api.domain.catalog import DEFAULT_MEDIA_TYPES
from job_api.domain.names import MAX_KEY, fold_name
from job_api.errors import TenantRefused
from job_api.passwords import PasswordService
from job_api.service.credentials import issue_credential
from job_api.service.users import MAX_NAME
from job_api.store import ALL_TENANTS, Actor, Database, UnitOfWork, identities
from job_api.store.identities import Tenant, User
from shared.clock import Clock

LARGEST_SOURCE_NUMBER = 2**31 - 1
"""The largest number that a tenant's rows can bear in the source: a column of PostgreSQL's type integer."""


async def bootstrap_tenant(
    database: Database, clock: Clock, *, tenant: str, source_tenant: int, user: str
) -> dict[str, Any]:
    """Create a tenant with its first administrator and API key, once; return the secrets to hand to its owner.

    For a tenant that exists, return its id only. Raises TenantRefused for a name or source number that it cannot have.
    """
    for option, name in (("--tenant", tenant), ("--user", user)):
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or not 1 <= len(fold_name(name)) <= MAX_KEY:
            raise TenantRefused(f"{option} must be a name of 1 to {MAX_NAME} printable characters")
    if not 0 <= source_tenant <= LARGEST_SOURCE_NUMBER:
        raise TenantRefused(f"--source-tenant must be a number from 0 to {LARGEST_SOURCE_NUMBER}")
    password = secrets.token_urlsafe(18)
    password_hash = await PasswordService().hash(password)
    now, tenant_id = clock.now(), uuid4()
    async with database.transaction(ALL_TENANTS) as connection:
        # Two at once would both find no tenant; the second waits here for the first.
        await connection.execute("LOCK TABLE tenant IN SHARE ROW EXCLUSIVE MODE")
        existing = await identities.find_tenant(connection, tenant)
        if existing is not None:
            if existing.source_tenant != source_tenant:
                raise TenantRefused(
                    f"the tenant {existing.name} exists with the number {existing.source_tenant} in the source, not "
                    f"{source_tenant}. A tenant's number never changes"
                )
            return {"tenant_id": str(existing.tenant_id), "exists": True}
        owner = await identities.find_tenant_by_source_number(connection, source_tenant)
        if owner is not None:
            raise TenantRefused(
                f"the number {source_tenant} in the source belongs to the tenant {owner.name}. Two tenants with one "
                "number could export each other's records: give --source-tenant the number of this tenant's own rows"
            )
        await identities.insert_tenant(connection, Tenant(tenant_id, tenant, source_tenant, DEFAULT_MEDIA_TYPES), now)
        admin = User(uuid4(), tenant_id, user, password_hash, ("admin",))
        await identities.insert_user(connection, admin, now)
        work = UnitOfWork(connection, Actor.system(tenant_id), now)
        work.audit("tenant.create", tenant_id, after={"name": tenant, "source_tenant": source_tenant})
        work.audit("user.create", admin.user_id, after={"name": user, "roles": ["admin"]})
        name = f"{user}'s first key"
        key = await issue_credential(work, admin, kind="api-key", name=name, roles=("admin",), lifetime=None)
        await work.flush()
    return {"tenant_id": str(tenant_id), "user": user, "password": password, "api_key": str(key.token)}
