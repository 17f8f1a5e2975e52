"""Access: authenticating tokens, API keys, and ending sessions."""

from datetime import datetime, timedelta
from typing import get_args
from uuid import UUID

from job_api.domain.drafts import MAX_TITLE
from job_api.domain.texts import NAME_HELP, find_text_fault
from job_api.errors import FieldFault, InvalidInput, NotFound
from job_api.service.authentication import TokenAuthenticator
from job_api.service.credentials import IssuedCredential, issue_credential, revoke_credential
from job_api.store import Database, UnitOfWork, identities
from job_api.store.identities import Credential, User
from shared.auth import Identity, Token
from shared.clock import Clock
from shared.events.values import Role
from shared.http.lists import Page, PageRequest


class AccessService:
    """Authenticates tokens, and manages API keys and sessions."""

    def __init__(self, database: Database, clock: Clock, authenticator: TokenAuthenticator | None = None) -> None:
        self._database = database
        self._clock = clock
        self._authenticator = authenticator or TokenAuthenticator(database, clock)

    async def authenticate(self, token: Token) -> Identity | None:
        """Return the identity behind a token, or None if it is not valid. Raises PostgresUnavailable."""
        return await self._authenticator.authenticate(token)

    async def log_out(self, work: UnitOfWork, identity: Identity) -> None:
        """Revoke the caller's session; repeating it changes nothing."""
        await revoke_credential(work, identity.identity_id)
        work.on_commit(lambda: self._authenticator.forget([identity.identity_id]))

    async def create_key(
        self, work: UnitOfWork, name: str, roles: tuple[Role, ...], *, lifetime: timedelta | None
    ) -> IssuedCredential:
        """Create an API key of the caller's; a `lifetime` of None means until it is revoked. Raises InvalidInput."""
        name = name.strip()
        _check_key(name, roles)
        actor = work.actor
        assert actor.user_id is not None
        owner = User(actor.user_id, actor.tenant_id, actor.name, "", ())
        return await issue_credential(work, owner, kind="api-key", name=name, roles=roles, lifetime=lifetime)

    async def list_keys(self, identity: Identity, request: PageRequest, now: datetime) -> Page[Credential]:
        """Return a page of the tenant's API keys, filtered and sorted by their states at `now`."""
        async with self._database.read(identity.tenant_id) as database:
            return await identities.list_keys(database, request, tenant_id=identity.tenant_id, now=now)

    async def get_key(self, identity: Identity, key_id: UUID) -> Credential:
        """Return an API key of the tenant. Raises NotFound."""
        async with self._database.read(identity.tenant_id) as database:
            found = await identities.find_credential(database, key_id)
        if found is None or found.kind != "api-key":
            raise NotFound("API key")
        return found

    def now(self) -> datetime:
        """Return the instant at which the states of keys are judged."""
        return self._clock.now()

    async def revoke_key(self, work: UnitOfWork, identity_id: UUID) -> None:
        """Revoke an API key; repeating it changes nothing. Raises NotFound."""
        found = await identities.find_credential(work.connection, identity_id)
        if found is None or found.kind != "api-key":
            raise NotFound("API key")
        await revoke_credential(work, identity_id)
        work.on_commit(lambda: self._authenticator.forget([identity_id]))


def _check_key(name: str, roles: tuple[Role, ...]) -> None:
    faults = []
    if not 1 <= len(name) <= MAX_TITLE or find_text_fault(name) is not None:
        faults.append(FieldFault("name", NAME_HELP))
    if not roles:
        faults.append(FieldFault("roles", f"name at least one of {', '.join(get_args(Role))}"))
    if faults:
        raise InvalidInput(*faults)
