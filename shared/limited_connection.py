"""Connections to PostgreSQL whose TCP ends them when the peer has vanished, instead of waiting for hours."""

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import asyncpg

# Seconds without traffic before the first probe, between probes, and how many unanswered ones end a connection; then
# the milliseconds after which unacknowledged data does.
_TCP_LIMITS = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
SERVER_LIMITS = {
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""The same limits at the server's end, so that the locks of a client that vanishes are released."""


if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection  # not subscriptable at run time


class LimitedConnection(_Connection):
    """A connection whose socket reports a peer that has vanished; `address` is host and port, or a socket's path."""

    def __init__(
        self, protocol: Any, transport: asyncio.BaseTransport, loop: Any, addr: tuple[str, int] | str, *others: Any
    ) -> None:
        super().__init__(protocol, transport, loop, addr, *others)
        self.address = addr
        limit_stalls(transport.get_extra_info("socket"))


def limit_stalls(connected: socket.socket | None) -> None:
    """Have TCP end a connection whose peer acknowledges nothing for half a minute; does nothing for other sockets."""
    if connected is None or connected.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_LIMITS.items():
        if hasattr(socket, name):  # not every system has all of them
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
