"""Logging in: who knocks, how often, and with what."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from job_api.errors import LoginFailed, TooManyAttempts
from job_api.passwords import Passwords
from job_api.service.issuing import Issued, issue
from job_api.service.subjects import brought_up_to_date, welcomed
from job_api.store import EVERYBODY, Actor, Change, Database, identities, throttle
from job_api.store.identities import User
from job_api.store.throttle import Allowance
from shared.clock import Clock
from shared.oidc import Subject

SESSION = timedelta(hours=12)
REMEMBERED = timedelta(days=30)
PER_ACCOUNT = Allowance(burst=10, another_each=timedelta(seconds=60))
PER_ADDRESS = Allowance(burst=50, another_each=timedelta(seconds=10))


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody types at the door, and where from."""

    user: str
    password: str
    tenant: str | None
    remember: bool
    address: str

    def __repr__(self) -> str:
        """Keep the password out of logs and tracebacks."""
        return f"Login({self.user!r})"


class Door:
    """Passwords in, sessions out."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    async def log_in(self, login: Login) -> Issued:
        """Begin a session. Raises LoginFailed, which does not say what was wrong, or TooManyAttempts."""
        limits = _limits(login)
        await self._count(limits)
        user = await self._recognised(login)
        async with Change.begun(
            self._database, Actor(user.tenant_id, user.user_id, user.name), self._clock.now()
        ) as change:
            for name in limits:
                await throttle.give_back(change.database, name)
            lasting = REMEMBERED if login.remember else SESSION
            return await issue(change, user, kind="session", name=user.name, roles=user.roles, lasting=lasting)

    async def sign_in(self, address: str, proven: Callable[[], Awaitable[Subject]]) -> Issued:
        """Begin a session of somebody that an identity provider vouches for.

        Raises what `proven` does, LoginFailed for who is shut out here, TooManyAttempts, or UnknownTenant.
        """
        limits = {f"address {address}": PER_ADDRESS}
        await self._count(limits)
        subject = await proven()
        actor = Actor(subject.tenant_id, subject.user_id, subject.subject)
        async with Change.begun(self._database, actor, self._clock.now()) as change:
            user = await welcomed(change, subject)
            if user.disabled:
                raise LoginFailed
            user = await brought_up_to_date(change, user, subject)
            await throttle.give_back(change.database, f"address {address}")
            return await issue(change, user, kind="session", name=user.name, roles=user.roles, lasting=SESSION)

    async def _count(self, limits: dict[str, Allowance]) -> None:
        now, waits = self._clock.now(), []
        async with self._database.changing(EVERYBODY) as database:
            # In one order for all, so that two logins cannot wait for each other.
            for name, allowance in sorted(limits.items()):
                waits.append(await throttle.take(database, name, allowance, now))
        longest = max((wait for wait in waits if wait is not None), default=None)
        if longest is not None:
            raise TooManyAttempts(math.ceil(longest.total_seconds()))

    async def _recognised(self, login: Login) -> User:
        async with self._database.looking(EVERYBODY) as database:
            users = await identities.users_named(database, login.user.strip(), (login.tenant or "").strip() or None)
        fitting = [user for user in users if await self._passwords.fits(login.password, user.password_hash)]
        if not users:
            await self._passwords.fits(login.password, None)
        if len(fitting) != 1:
            raise LoginFailed
        return fitting[0]


def _limits(login: Login) -> dict[str, Allowance]:
    account = f"{(login.tenant or '').strip().lower()}/{login.user.strip().lower()}"
    return {f"account {account}": PER_ACCOUNT, f"address {login.address}": PER_ADDRESS}
