"""Logging in with a password or through an identity provider, with limits on attempts."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from job_api.errors import LoginFailed, TooManyAttempts
from job_api.passwords import PasswordService
from job_api.service.credentials import IssuedCredential, issue_credential
from job_api.service.subjects import get_or_create_user, update_roles
from job_api.store import ALL_TENANTS, Actor, Database, UnitOfWork, identities, throttle
from job_api.store.identities import User
from job_api.store.throttle import AttemptLimit
from shared.clock import Clock
from shared.oidc import Subject

SESSION_LIFETIME = timedelta(hours=12)
REMEMBERED_LIFETIME = timedelta(days=30)
PER_ACCOUNT = AttemptLimit(burst=10, refill_interval=timedelta(seconds=60))
PER_ADDRESS = AttemptLimit(burst=50, refill_interval=timedelta(seconds=10))


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What a user enters to log in, and the address of the request."""

    user: str
    password: str
    tenant: str | None
    remember: bool
    address: str

    def __repr__(self) -> str:
        """Keep the password out of logs and tracebacks."""
        return f"LoginAttempt({self.user!r})"


class LoginService:
    """Starts sessions. It counts attempts in a transaction of their own, which a failed login does not roll back."""

    def __init__(self, database: Database, clock: Clock, passwords: PasswordService) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    async def log_in(self, attempt: LoginAttempt) -> IssuedCredential:
        """Start a session. Raises LoginFailed, which does not disclose what was wrong, or TooManyAttempts."""
        limits = _get_limits(attempt)
        await self._count_attempt(limits)
        user = await self._authenticate(attempt)
        actor = Actor(user.tenant_id, user.user_id, user.name)
        async with UnitOfWork.begin(self._database, actor, self._clock.now()) as work:
            for name in limits:
                await throttle.return_token(work.connection, name)
            return await _issue_session(work, user, REMEMBERED_LIFETIME if attempt.remember else SESSION_LIFETIME)

    async def sign_in(self, address: str, authenticate: Callable[[], Awaitable[Subject]]) -> IssuedCredential:
        """Start a session for the user whom an identity provider authenticates.

        Raises what `authenticate` raises, LoginFailed for a user disabled here, TooManyAttempts, or UnknownTenant.
        """
        limit_name = f"address {address}"
        await self._count_attempt({limit_name: PER_ADDRESS})
        subject = await authenticate()
        actor = Actor(subject.tenant_id, subject.user_id, subject.subject)
        async with UnitOfWork.begin(self._database, actor, self._clock.now()) as work:
            user = await get_or_create_user(work, subject)
            if user.disabled:
                raise LoginFailed
            user = await update_roles(work, user, subject)
            await throttle.return_token(work.connection, limit_name)
            return await _issue_session(work, user, SESSION_LIFETIME)

    async def _count_attempt(self, limits: dict[str, AttemptLimit]) -> None:
        now, waits = self._clock.now(), []
        async with self._database.transaction(ALL_TENANTS) as database:
            # In the same order everywhere, so that two logins cannot deadlock.
            for name, limit in sorted(limits.items()):
                waits.append(await throttle.take_token(database, name, limit, now=now))
        longest = max((wait for wait in waits if wait is not None), default=None)
        if longest is not None:
            raise TooManyAttempts(math.ceil(longest.total_seconds()))

    async def _authenticate(self, attempt: LoginAttempt) -> User:
        async with self._database.read(ALL_TENANTS) as database:
            users = await identities.find_users(database, attempt.user.strip(), (attempt.tenant or "").strip() or None)
        matching = [user for user in users if await self._passwords.verify(attempt.password, user.password_hash)]
        if not users:
            await self._passwords.verify(attempt.password, None)
        if len(matching) != 1:
            raise LoginFailed
        return matching[0]


async def _issue_session(work: UnitOfWork, user: User, lifetime: timedelta) -> IssuedCredential:
    return await issue_credential(work, user, kind="session", name=user.name, roles=user.roles, lifetime=lifetime)


def _get_limits(attempt: LoginAttempt) -> dict[str, AttemptLimit]:
    account = f"{(attempt.tenant or '').strip().lower()}/{attempt.user.strip().lower()}"
    return {f"account {account}": PER_ACCOUNT, f"address {attempt.address}": PER_ADDRESS}
