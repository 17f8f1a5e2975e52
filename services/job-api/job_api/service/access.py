"""Who may come in: tokens, API keys, and the first administrator."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from job_api.domain.catalog import DEFAULT_MEDIA_TYPES
from job_api.domain.drafts import TITLE_MOST
from job_api.errors import Fault, Invalid, NotFound
from job_api.passwords import Passwords
from job_api.service.authentication import Recognition
from job_api.service.issuing import Issued, issue, revoke
from job_api.store import EVERYBODY, Actor, Change, Database, Once, identities
from job_api.store.change import Answer
from job_api.store.identities import Credential, Tenant, User
from job_api.store.listing import Page, Wish
from shared.auth import Identity, Token
from shared.clock import Clock
from shared.events.values import Role

ROLES: tuple[Role, ...] = ("admin", "operator", "downloader", "viewer")


class Access:
    """Tokens in, identities out."""

    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, recognition: Recognition | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._recognition = recognition or Recognition(database, clock)

    async def identity_of(self, token: Token) -> Identity | None:
        """Return who a token belongs to, or None when it is not good."""
        return await self._recognition.identity_of(token)

    async def log_out(self, who: Identity) -> None:
        """End the session that asks; of no effect on one that has ended."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            await revoke(change, who.identity_id)
        self._recognition.forget([who.identity_id])

    async def make_key(
        self,
        who: Identity,
        name: str,
        roles: tuple[Role, ...],
        lasting: timedelta | None,
        once: Once,
        render: Callable[[Issued, str | None], Answer],
    ) -> Answer:
        """Make an API key of the caller's. Raises Invalid or IdempotencyConflict.

        The token is in this answer only: what is kept for the same request sent again has none.
        """
        name = _checked_key(name.strip(), roles)
        issued: Issued | None = None
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:

            async def make() -> Answer:
                nonlocal issued
                owner = User(who.user_id, who.tenant_id, who.name, "", ())
                issued = await issue(change, owner, kind="api-key", name=name, roles=roles, lasting=lasting)
                return render(issued, None)

            answer = await change.once(once, make)
        return answer if issued is None else render(issued, str(issued.token))

    async def keys(self, who: Identity, wish: Wish, now: datetime) -> Page[Credential]:
        """Return a page of the tenant's API keys, whose states are judged at `now`."""
        async with self._database.looking(who.tenant_id) as database:
            return await identities.keys(database, who.tenant_id, wish, now)

    def now(self) -> datetime:
        """Return the instant that the states of keys are judged at."""
        return self._clock.now()

    async def revoke_key(self, who: Identity, identity_id: UUID) -> None:
        """End an API key; again changes nothing. Raises NotFound."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            found = await identities.find(change.database, identity_id)
            if found is None or found.kind != "api-key":
                raise NotFound("API key")
            await revoke(change, identity_id)
        self._recognition.forget([identity_id])

    async def bootstrap(self, *, tenant: str, source_tenant: int, user: str) -> dict[str, Any]:
        """Make a tenant with its first administrator and key, once; return what its owner must know."""
        password = secrets.token_urlsafe(18)
        stored = await self._passwords.hashed(password)
        now, tenant_id = self._clock.now(), uuid4()
        async with self._database.changing(EVERYBODY) as database:
            # Two at once would both find nothing; the second waits here for the first.
            await database.execute("LOCK TABLE tenant IN SHARE ROW EXCLUSIVE MODE")
            there = await identities.tenant_named(database, tenant)
            if there is not None:
                return {"tenant_id": str(there.tenant_id), "exists": True}
            new = Tenant(tenant_id, tenant, source_tenant, DEFAULT_MEDIA_TYPES)
            await identities.insert_tenant(database, new, now)
            admin = User(uuid4(), tenant_id, user, stored, ("admin",))
            await identities.insert_user(database, admin, now)
            change = Change(database, Actor.system(tenant_id), now)
            change.note("tenant.create", tenant_id, after={"name": tenant, "source_tenant": source_tenant})
            change.note("user.create", admin.user_id, after={"name": user, "roles": ["admin"]})
            key = await issue(change, admin, kind="api-key", name=f"{user}'s first key", roles=("admin",), lasting=None)
            await change.settle()
        return {"tenant_id": str(tenant_id), "user": user, "password": password, "api_key": str(key.token)}


def _checked_key(name: str, roles: tuple[Role, ...]) -> str:
    faults = []
    if not 1 <= len(name) <= TITLE_MOST or any(ord(each) < 32 for each in name):
        faults.append(Fault("name", f"from 1 to {TITLE_MOST} characters, without line breaks"))
    if not roles:
        faults.append(Fault("roles", f"name at least one of {', '.join(ROLES)}"))
    if faults:
        raise Invalid(*faults)
    return name
