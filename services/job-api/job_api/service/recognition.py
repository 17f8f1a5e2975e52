"""Tokens in, identities out; for a moment by heart, as one client asks many times a second."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from job_api.store import EVERYBODY, Database, identities
from job_api.store.identities import Credential
from shared import auth
from shared.auth import Identity, Token
from shared.clock import Clock

BY_HEART = timedelta(seconds=2)
"""How long another process may still take a token that was revoked here."""
_MOST = 10_000


class Recognition:
    """Knows who a token belongs to. A secret is compared each time; only the row is kept, and forgotten on a change."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[UUID, tuple[Credential, datetime]] = {}

    async def identity_of(self, token: Token) -> Identity | None:
        """Return who a token belongs to, or None when it is not good."""
        now = self._clock.now()
        found = await self._credential(token.identity_id, now)
        if found is None or not auth.matches(token, found.secret_hash):
            return None
        good = auth.live(expires_at=found.expires_at, revoked=found.revoked_at is not None, now=now)
        return found.to_identity() if good else None

    def forget(self, identity_ids: Iterable[UUID]) -> None:
        """Look anew when these ask next."""
        for identity_id in identity_ids:
            self._known.pop(identity_id, None)

    async def _credential(self, identity_id: UUID, now: datetime) -> Credential | None:
        known = self._known.get(identity_id)
        if known is not None and timedelta(0) <= now - known[1] < BY_HEART:
            return known[0]
        async with self._database.looking(EVERYBODY) as database:
            found = await identities.find(database, identity_id)
        if found is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[identity_id] = (found, now)
        return found
