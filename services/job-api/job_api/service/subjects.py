"""Users of an identity provider: created here when they first appear."""

import secrets
from dataclasses import replace

from job_api.errors import NotFound
from job_api.store import UnitOfWork, identities
from job_api.store.identities import User
from shared import auth
from shared.events import IdentitySaved
from shared.oidc import Subject, UnknownTenant


async def get_or_create_user(work: UnitOfWork, subject: Subject) -> User:
    """Return the user for a subject, created if new. Raises UnknownTenant."""
    try:
        return await identities.get_user(work.connection, subject.tenant_id, subject.user_id)
    except NotFound:
        pass
    try:
        await identities.get_tenant(work.connection, subject.tenant_id)
    except NotFound:
        raise UnknownTenant from None
    roles = tuple(sorted(subject.roles))
    # No password matches an empty hash.
    user = User(subject.user_id, subject.tenant_id, subject.subject, "", roles, issuer=subject.issuer)
    if await identities.insert_user(work.connection, user, work.at):
        after = {"name": user.name, "roles": list(roles), "issuer": subject.issuer}
        work.audit("user.create", user.user_id, after=after)
    return await identities.get_user(work.connection, subject.tenant_id, subject.user_id)


async def update_roles(work: UnitOfWork, user: User, subject: Subject) -> User:
    """Give a user, with all keys and sessions, the roles that the identity provider assigns now."""
    roles = tuple(sorted(subject.roles))
    if set(user.roles) == subject.roles:
        return user
    saved = await identities.update_user(work.connection, replace(user, roles=roles))
    changed = await identities.restrict_credentials(work.connection, saved)
    work.emit(*(each.to_event() for each in changed))
    work.audit("user.edit", user.user_id, before={"roles": list(user.roles)}, after={"roles": list(roles)})
    return saved


def to_identity_event(user: User) -> IdentitySaved:
    """Return the event from which history knows whether to accept the identity provider's tokens of a user.

    Its hash is of a random secret that is not kept: nothing can authenticate with it.
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
