"""Whom an identity provider vouches for: what the job API has told of them."""

from history.store import SQL
from shared.auth import Identity
from shared.oidc import Subject, UnknownTenant
from shared.postgres import Pool, connection


class Subjects:
    """Users of an identity provider, who need not have been seen here before."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def identity_of(self, subject: Subject) -> Identity | None:
        """Return who a subject is, None for one who was shut out. Raises UnknownTenant."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["subject_standing"], subject.user_id, subject.tenant_id)
        if row is None or not row["tenant_known"]:
            raise UnknownTenant
        return None if row["shut_out"] else subject.to_identity()
