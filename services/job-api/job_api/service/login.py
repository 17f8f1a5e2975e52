"""Logging in with a password or through an identity provider, with limits on attempts.

Every answer costs the same work: one query that resolves name and tenant to at most one user, and one verification of a
password, against a hash that nobody's password has if there is no such user.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from job_api.domain.names import fold_name
from job_api.errors import LoginFailed
from job_api.passwords import PasswordService
from job_api.service.attempts import count_attempt, forget_attempt, limit_by_account, limit_by_address, limit_by_user
from job_api.service.credentials import IssuedCredential, issue_credential
from job_api.service.devices import create_device, recognise_device
from job_api.service.subjects import get_or_create_user, update_roles
from job_api.store import ALL_TENANTS, Actor, Database, UnitOfWork, identities
from job_api.store.identities import User
from shared.clock import Clock
from shared.oidc import Subject

SESSION_LIFETIME = timedelta(hours=12)
REMEMBERED_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What a user enters to log in, the address of the request, and the browser's device cookie, if any."""

    user: str
    password: str
    tenant: str | None
    remember: bool
    address: str
    device: str | None = None

    def __repr__(self) -> str:
        """Keep the password out of logs and tracebacks."""
        return f"LoginAttempt({self.user!r})"


@dataclass(frozen=True, slots=True)
class StartedSession:
    """A new session, and the device cookie by which the browser is recognised at its next login."""

    issued: IssuedCredential
    device: str


class LoginService:
    """Starts sessions."""

    def __init__(self, database: Database, clock: Clock, passwords: PasswordService) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    async def log_in(self, attempt: LoginAttempt) -> StartedSession:
        """Start a session. Raises LoginFailed, which does not disclose what was wrong, or TooManyAttempts."""
        user = await self._find_user(attempt)
        device = recognise_device(attempt.device, user) if user is not None else None
        limits = device.limit() if device is not None else limit_by_account(attempt.user, attempt.address)
        await count_attempt(self._database, limits, now=self._clock.now())
        is_right = await self._passwords.verify(attempt.password, user.password_hash if user is not None else None)
        if user is None or not is_right:
            raise LoginFailed
        actor = Actor(user.tenant_id, user.user_id, user.name)
        async with UnitOfWork.begin(self._database, actor, self._clock.now()) as work:
            await forget_attempt(work.connection, limits)
            lifetime = REMEMBERED_LIFETIME if attempt.remember else SESSION_LIFETIME
            issued = await _issue_session(work, user, lifetime)
        return StartedSession(issued, (device or create_device(user)).to_cookie(user))

    async def sign_in(self, address: str, authenticate: Callable[[], Awaitable[Subject]]) -> IssuedCredential:
        """Start a session for the user whom an identity provider authenticates.

        Raises what `authenticate` raises, LoginFailed for a user disabled here, TooManyAttempts, or UnknownTenant.
        """
        limits = limit_by_address(address)
        await count_attempt(self._database, limits, now=self._clock.now())
        subject = await authenticate()
        account = limit_by_user(subject.user_id)
        await count_attempt(self._database, account, now=self._clock.now())
        actor = Actor(subject.tenant_id, subject.user_id, subject.subject)
        async with UnitOfWork.begin(self._database, actor, self._clock.now()) as work:
            user = await get_or_create_user(work, subject)
            if user.disabled:
                raise LoginFailed
            user = await update_roles(work, user, subject)
            await forget_attempt(work.connection, limits | account)
            return await _issue_session(work, user, SESSION_LIFETIME)

    async def _find_user(self, attempt: LoginAttempt) -> User | None:
        """Return the user meant; None if there is none, or the name is used in several tenants and none was given."""
        tenant_key = fold_name(attempt.tenant or "") or None
        async with self._database.read(ALL_TENANTS) as database:
            users = await identities.find_users(database, fold_name(attempt.user), tenant_key)
        return users[0] if len(users) == 1 else None


async def _issue_session(work: UnitOfWork, user: User, lifetime: timedelta) -> IssuedCredential:
    return await issue_credential(work, user, kind="session", name=user.name, roles=user.roles, lifetime=lifetime)
