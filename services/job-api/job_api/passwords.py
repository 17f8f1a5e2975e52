"""Passwords: argon2, taking the same time whether or not the user exists."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_UNKNOWN_USER = _hasher.hash(secrets.token_urlsafe())
# Each verification takes 64 MiB and a core for tens of milliseconds, so others wait their turn.
_MAX_CONCURRENT = 2


class PasswordService:
    """Hashes and verifies passwords off the event loop, a few at a time."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(_MAX_CONCURRENT)

    async def hash(self, password: str) -> str:
        """Return the hash of a password, for storage."""
        async with self._gate:
            return await asyncio.to_thread(_hasher.hash, password)

    async def verify(self, password: str, stored: str | None) -> bool:
        """Return whether a password has the stored hash; None stands for a user who does not exist."""
        async with self._gate:
            return await asyncio.to_thread(_verify, password, stored)


def _verify(password: str, stored: str | None) -> bool:
    try:
        return _hasher.verify(stored or _UNKNOWN_USER, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
