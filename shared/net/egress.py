"""Connecting to a host that a customer named: resolve, check each address, connect to that very address (rule D9)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import SluiceError
from shared.net.addresses import AddressRefused, AddressRules

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_MAX_HOST_LENGTH = 253
_USER_TIMEOUT_MS = 60_000
_KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": _USER_TIMEOUT_MS}


class HostUnknown(SluiceError):
    """The name cannot be resolved."""


class HostUnreachable(SluiceError):
    """No address of the host accepts a connection."""


async def resolve_with_system(host: str, port: int) -> Sequence[str]:
    """Return a host's addresses as the system's resolver finds them. Raises HostUnknown."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise HostUnknown("the host's name cannot be resolved") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Egress:
    """Opens connections under the rules; every connection resolves anew, and a name is never resolved twice for one."""

    rules: AddressRules
    timeout: timedelta = timedelta(seconds=10)
    resolve: Resolve = resolve_with_system

    async def find_addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the host's addresses. Raises HostUnknown, or AddressRefused when any of them may not be reached."""
        if not host or len(host) > _MAX_HOST_LENGTH or any(each.isspace() or each in "/@\\\0" for each in host):
            raise HostUnknown("the host's name is not valid")
        try:
            found = await asyncio.wait_for(self.resolve(host, port), self.timeout.total_seconds())
        except TimeoutError:
            raise HostUnknown("the host's name cannot be resolved in time") from None
        if not found:
            raise HostUnknown("the host's name has no address")
        for address in found:
            self.rules.check(address)
        return found

    async def connect(self, host: str, port: int) -> socket.socket:
        """Return a connected, non-blocking socket. Raises HostUnknown, AddressRefused or HostUnreachable."""
        addresses = await self.find_addresses(host, port)
        for address in addresses:
            if (connected := await self._connect_to(address, port)) is not None:
                return connected
        raise HostUnreachable("the host does not accept a connection")

    async def _connect_to(self, address: str, port: int) -> socket.socket | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            # Not asyncio.open_connection, which would resolve names; this takes addresses only.
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            return None  # this machine has no such protocol
        try:
            connection.setblocking(False)
            _set_options(connection)
            connecting = asyncio.get_running_loop().sock_connect(connection, (address, port))
            await asyncio.wait_for(connecting, self.timeout.total_seconds())
        except (OSError, TimeoutError):
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise
        return connection


def _set_options(connection: socket.socket) -> None:
    """Notice a peer that vanished without closing the connection within about a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


__all__ = ["AddressRefused", "Egress", "HostUnknown", "HostUnreachable", "Resolve", "resolve_with_system"]
