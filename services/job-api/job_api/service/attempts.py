"""Limits on guessing passwords, at login and where users change their own.

Attempts are counted for each address and account together, so that nobody can lock another out, and for each address.
The account is the name as it was entered, folded: the same for names that exist and for names that do not, and with or
without a tenant. A browser that has logged in before has a device cookie, and a count of its own.
"""

import ipaddress
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from job_api.domain.names import fold_name
from job_api.errors import TooManyAttempts
from job_api.store import ALL_TENANTS, Database, throttle
from job_api.store.throttle import AttemptLimit
from shared.postgres import Connection

PER_ACCOUNT = AttemptLimit(burst=10, refill_interval=timedelta(seconds=60))
PER_ADDRESS = AttemptLimit(burst=50, refill_interval=timedelta(seconds=10))
_IPV6_NETWORK_BITS = 64


def limit_by_address(address: str) -> dict[str, AttemptLimit]:
    """Return the limit on all attempts from an address."""
    return {f"address {_fold_address(address)}": PER_ADDRESS}


def limit_by_account(name: str, address: str) -> dict[str, AttemptLimit]:
    """Return the limits on attempts at a name from an address."""
    account = f"account {_fold_address(address)} {fold_name(name)}"
    return {account: PER_ACCOUNT} | limit_by_address(address)


def limit_by_user(user_id: UUID) -> dict[str, AttemptLimit]:
    """Return the limit on the sign-ins of a user whom an identity provider has authenticated, from any address."""
    return {f"user {user_id}": PER_ACCOUNT}


async def count_attempt(database: Database, limits: Mapping[str, AttemptLimit], *, now: datetime) -> None:
    """Count an attempt in a transaction of its own, which no failure rolls back. Raises TooManyAttempts."""
    waits = []
    async with database.transaction(ALL_TENANTS) as connection:
        # In the same order everywhere, so that two logins cannot deadlock.
        for name, limit in sorted(limits.items()):
            waits.append(await throttle.take_token(connection, name, limit, now=now))
    longest = max((wait for wait in waits if wait is not None), default=None)
    if longest is not None:
        raise TooManyAttempts(math.ceil(longest.total_seconds()))


async def forget_attempt(connection: Connection, limits: Iterable[str]) -> None:
    """Return what a successful attempt was counted as."""
    for name in sorted(limits):
        await throttle.return_token(connection, name)


def _fold_address(address: str) -> str:
    """Return an address, or for IPv6 its network: one customer of a provider has 2^64 addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), _IPV6_NETWORK_BITS), strict=False))
    return str(found)
