"""Issuing and revoking credentials (API keys and sessions) within a unit of work."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID, uuid4

from job_api.store import UnitOfWork, identities
from job_api.store.identities import Credential, User
from shared import auth
from shared.auth import Token
from shared.events.values import Role


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A new credential with its token, which is shown only once."""

    credential: Credential
    token: Token


async def issue_credential(
    work: UnitOfWork,
    owner: User,
    *,
    kind: Literal["api-key", "session"],
    name: str,
    roles: tuple[Role, ...],
    lifetime: timedelta | None,
) -> IssuedCredential:
    """Create a credential and publish it to the other services; a `lifetime` of None means until it is revoked."""
    token = auth.create_token(uuid4())
    credential = Credential(
        identity_id=token.identity_id,
        tenant_id=owner.tenant_id,
        user_id=owner.user_id,
        kind=kind,
        name=name,
        roles=roles,
        secret_hash=auth.hash_secret(token.secret),
        created_at=work.at,
        expires_at=work.at + lifetime if lifetime is not None else None,
    )
    await identities.insert_credential(work.connection, credential)
    work.emit(credential.to_event())
    work.audit(f"{kind}.create", credential.identity_id, after={"name": name, "roles": list(roles)})
    return IssuedCredential(credential, token)


async def revoke_credential(work: UnitOfWork, identity_id: UUID) -> None:
    """Revoke a credential and publish that to the other services; repeating it changes nothing."""
    revoked = await identities.revoke_credential(
        work.connection, identity_id, tenant_id=work.actor.tenant_id, at=work.at
    )
    if revoked is not None:
        work.emit(revoked.to_event())
        work.audit(f"{revoked.kind}.revoke", identity_id, before={"name": revoked.name})
