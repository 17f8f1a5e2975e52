"""From bearer tokens to identities, with a short-lived cache for clients that send many requests a second."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from cachetools import FIFOCache

from job_api.service.subjects import get_or_create_user
from job_api.store import ALL_TENANTS, Actor, Database, UnitOfWork, identities
from job_api.store.identities import Credential, User
from shared import auth
from shared.auth import Identity, Token
from shared.clock import Clock
from shared.oidc import Subject

CACHE_TTL = timedelta(seconds=2)
"""How long another process may still accept a token that was revoked in this one."""
_MAX_CACHED = 10_000


class TokenAuthenticator:
    """Finds the identity behind a token. Only rows are cached; the secret is compared every time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        # With the time of reading rather than a TTLCache: an entry from the future, after the clock was set back, is
        # not used either.
        self._credentials: FIFOCache[UUID, tuple[Credential, datetime]] = FIFOCache(_MAX_CACHED)
        self._users: FIFOCache[UUID, tuple[User, datetime]] = FIFOCache(_MAX_CACHED)

    async def authenticate(self, token: Token) -> Identity | None:
        """Return the identity of an API key's or session's token, or None if the token is not valid now.

        Raises PostgresUnavailable.
        """
        now = self._clock.now()
        found = await self._find_credential(token.identity_id, now)
        if found is None or not auth.is_genuine(token, found.secret_hash):
            return None
        live = auth.is_live(expires_at=found.expires_at, revoked=found.revoked_at is not None, now=now)
        return found.to_identity() if live else None

    async def authenticate_subject(self, subject: Subject) -> Identity | None:
        """Return the identity of an identity provider's user, or None for one disabled here.

        A user seen for the first time is created. Raises UnknownTenant or PostgresUnavailable.
        """
        now = self._clock.now()
        cached = self._users.get(subject.user_id)
        if cached is None or not _is_fresh(cached[1], now):
            actor = Actor(subject.tenant_id, subject.user_id, subject.subject)
            async with UnitOfWork.begin(self._database, actor, now) as work:
                cached = (await get_or_create_user(work, subject), now)
            self._users[subject.user_id] = cached
        return None if cached[0].disabled else subject.to_identity()

    def forget(self, ids: Iterable[UUID]) -> None:
        """Drop these credentials and users from the cache, so that the next request reads them anew."""
        for each in ids:
            self._credentials.pop(each, None)
            self._users.pop(each, None)

    async def _find_credential(self, identity_id: UUID, now: datetime) -> Credential | None:
        cached = self._credentials.get(identity_id)
        if cached is not None and _is_fresh(cached[1], now):
            return cached[0]
        async with self._database.read(ALL_TENANTS) as database:
            found = await identities.find_credential(database, identity_id)
        if found is not None:
            self._credentials[identity_id] = (found, now)
        return found


def _is_fresh(read_at: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - read_at < CACHE_TTL
