"""Making and ending keys and sessions, within a change."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID, uuid4

from job_api.store import Change, identities
from job_api.store.identities import Credential, User
from shared import auth
from shared.auth import Token
from shared.events.values import Role


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key or session with its token, which is shown this once."""

    credential: Credential
    token: Token


async def issue(
    change: Change,
    owner: User,
    *,
    kind: Literal["api-key", "session"],
    name: str,
    roles: tuple[Role, ...],
    lasting: timedelta | None,
) -> Issued:
    """Make a key or session, and tell the others of it."""
    token = auth.create_token(uuid4())
    credential = Credential(
        identity_id=token.identity_id,
        tenant_id=owner.tenant_id,
        user_id=owner.user_id,
        kind=kind,
        name=name,
        roles=roles,
        secret_hash=auth.hash_secret(token.secret),
        created_at=change.at,
        expires_at=change.at + lasting if lasting is not None else None,
    )
    await identities.insert(change.database, credential)
    change.tell(credential.to_event())
    change.note(f"{kind}.create", credential.identity_id, after={"name": name, "roles": list(roles)})
    return Issued(credential, token)


async def revoke(change: Change, identity_id: UUID) -> None:
    """End a key or session, and tell the others of it; again changes nothing."""
    revoked = await identities.revoke(change.database, change.actor.tenant_id, identity_id, change.at)
    if revoked is not None:
        change.tell(revoked.to_event())
        change.note(f"{revoked.kind}.revoke", identity_id, before={"name": revoked.name})
