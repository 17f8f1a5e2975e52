"""Identities as job-api has published them: tokens and users of an identity provider become callers."""

from collections.abc import Collection
from uuid import UUID

from history.store import SQL
from shared.auth import Identity, Token, is_genuine, is_live
from shared.clock import Clock, SystemClock
from shared.oidc import Subject, UnknownTenant
from shared.postgres import Pool, connection


class IdentityStore:
    """Authenticates tokens and subjects. Every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool, clock: Clock | None = None) -> None:
        self._pool = pool
        self._clock = clock or SystemClock()

    async def authenticate(self, token: Token) -> Identity | None:
        """Return the identity that a token belongs to; None for one that is unknown, revoked or expired."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["identity_of"], token.identity_id)
        if row is None or not is_genuine(token, row["secret_hash"]):
            return None
        if not is_live(expires_at=row["expires_at"], revoked=row["revoked"], now=self._clock.now()):
            return None
        return Identity(row["identity_id"], row["tenant_id"], row["user_id"], row["name"], frozenset(row["roles"]))

    async def authenticate_subject(self, subject: Subject) -> Identity | None:
        """Return the identity of a user of an identity provider, who need not be known yet; None for a disabled one.

        Raises UnknownTenant.
        """
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["subject_standing"], subject.user_id, subject.tenant_id)
        if row is None or not row["tenant_known"]:
            raise UnknownTenant
        return None if row["disabled"] else subject.to_identity()

    async def find_ended(self, identity_ids: Collection[UUID]) -> set[UUID]:
        """Return those of these identities that have been revoked or have expired."""
        async with connection(self._pool) as database:
            rows = await database.fetch(SQL["ended_identities"], list(identity_ids), self._clock.now())
        return {row["identity_id"] for row in rows}
