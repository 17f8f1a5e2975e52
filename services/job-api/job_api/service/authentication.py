"""Tokens in, identities out; for a moment by heart, as one client asks many times a second."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from job_api.service.subjects import welcomed
from job_api.store import EVERYBODY, Actor, Change, Database, identities
from job_api.store.identities import Credential, User
from shared import auth
from shared.auth import Identity, Token
from shared.clock import Clock
from shared.oidc import Subject

BY_HEART = timedelta(seconds=2)
"""How long another process may still take a token that was revoked here."""
_MOST = 10_000


class Recognition:
    """Knows who a token belongs to. A secret is compared each time; only the row is kept, and forgotten on a change."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[UUID, tuple[Credential, datetime]] = {}
        self._users: dict[UUID, tuple[User, datetime]] = {}

    async def identity_of(self, token: Token) -> Identity | None:
        """Return who a token belongs to, or None when it is not good."""
        now = self._clock.now()
        found = await self._credential(token.identity_id, now)
        if found is None or not auth.is_genuine(token, found.secret_hash):
            return None
        good = auth.is_live(expires_at=found.expires_at, revoked=found.revoked_at is not None, now=now)
        return found.to_identity() if good else None

    async def identity_of_subject(self, subject: Subject) -> Identity | None:
        """Return somebody that an identity provider vouches for, None where shut out here. Raises UnknownTenant."""
        now = self._clock.now()
        known = self._users.get(subject.user_id)
        if known is None or not _fresh(known[1], now):
            actor = Actor(subject.tenant_id, subject.user_id, subject.subject)
            async with Change.begun(self._database, actor, now) as change:
                known = (await welcomed(change, subject), now)
            if len(self._users) >= _MOST:
                self._users.clear()
            self._users[subject.user_id] = known
        return None if known[0].disabled else subject.to_identity()

    def forget(self, ids: Iterable[UUID]) -> None:
        """Look anew when these keys, sessions and users ask next."""
        for each in ids:
            self._known.pop(each, None)
            self._users.pop(each, None)

    async def _credential(self, identity_id: UUID, now: datetime) -> Credential | None:
        known = self._known.get(identity_id)
        if known is not None and _fresh(known[1], now):
            return known[0]
        async with self._database.looking(EVERYBODY) as database:
            found = await identities.find(database, identity_id)
        if found is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[identity_id] = (found, now)
        return found


def _fresh(at: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - at < BY_HEART
