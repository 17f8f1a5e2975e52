"""Users of an identity provider: known here from the first time that they come."""

import secrets
from dataclasses import replace

from job_api.errors import NotFound
from job_api.store import Change, identities
from job_api.store.identities import User
from shared import auth
from shared.events import IdentitySaved
from shared.oidc import Subject, UnknownTenant


async def welcomed(change: Change, subject: Subject) -> User:
    """Return the user that a subject is here, made when new. Raises UnknownTenant."""
    try:
        return await identities.user(change.database, subject.tenant_id, subject.user_id)
    except NotFound:
        pass
    try:
        await identities.tenant(change.database, subject.tenant_id)
    except NotFound:
        raise UnknownTenant from None
    roles = tuple(sorted(subject.roles))
    # No password fits an empty hash.
    new = User(subject.user_id, subject.tenant_id, subject.subject, "", roles, issuer=subject.issuer)
    if await identities.insert_user(change.database, new, change.at):
        after = {"name": new.name, "roles": list(roles), "issuer": subject.issuer}
        change.note("user.create", new.user_id, after=after)
    return await identities.user(change.database, subject.tenant_id, subject.user_id)


async def brought_up_to_date(change: Change, user: User, subject: Subject) -> User:
    """Let a user, and the user's keys and sessions, have the roles that the identity provider now gives."""
    roles = tuple(sorted(subject.roles))
    if set(user.roles) == subject.roles:
        return user
    saved = await identities.update_user(change.database, replace(user, roles=roles))
    changed = await identities.restrict(change.database, saved)
    change.tell(*(each.to_event() for each in changed))
    change.note("user.edit", user.user_id, before={"roles": list(user.roles)}, after={"roles": list(roles)})
    return saved


def standing(user: User) -> IdentitySaved:
    """Return what tells history whether it may take an identity provider's tokens of this user.

    The hash is of a secret that nobody has: this is nothing to ask with.
    """
    return IdentitySaved(
        identity_id=user.user_id,
        kind="session",
        tenant_id=user.tenant_id,
        user_id=user.user_id,
        name=user.name,
        roles=(),
        secret_hash=auth.hash_secret(secrets.token_urlsafe(32)),
        expires_at=None,
        revoked=user.disabled,
        version=user.version,
    )
