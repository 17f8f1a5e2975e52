"""Passwords: argon2, and the same time spent whether a user exists or not."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_NOBODY = _hasher.hash(secrets.token_urlsafe())
# Each verification takes 64 MiB and a core for tens of milliseconds: a crowd at the door waits.
_AT_ONCE = 2


class Passwords:
    """Hashes and verifies off the event loop, a few at a time."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def hashed(self, password: str) -> str:
        """Return what may be stored of a password."""
        async with self._gate:
            return await asyncio.to_thread(_hasher.hash, password)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Return whether a password is the one stored; None stands for a user who does not exist."""
        async with self._gate:
            return await asyncio.to_thread(_fits, password, stored)


def _fits(password: str, stored: str | None) -> bool:
    try:
        return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
