"""A proxy inside the process, for libraries that open connections themselves: it applies the rules for them (rule D9).

It accepts `CONNECT` from this machine, with a ticket that names the hosts it is valid for. So a library that resolves
names and follows redirects itself reaches nothing but those hosts, each at an address that was checked.
"""

import asyncio
import base64
import secrets
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from shared.errors import SluiceError
from shared.net.addresses import AddressRefused
from shared.net.egress import Egress, HostUnknown, HostUnreachable
from shared.observe import get_logger

log = get_logger(__name__)
_MAX_HEAD = 8 * 1024
_HEAD_SECONDS = 10.0
_BUFFER = 128 * 1024
_BACKLOG = 128


class HostNotListed(SluiceError):
    """The library wanted to connect to a host that its ticket does not list, as after a redirect."""


Fault = AddressRefused | HostUnknown | HostUnreachable | HostNotListed


@dataclass
class Ticket:
    """The right to connect to certain hosts through the proxy; `fault` is the last reason why it did not."""

    url: str
    hosts: frozenset[tuple[str, int]]
    fault: Fault | None = None

    def check(self, host: str, port: int) -> None:
        """Raise HostNotListed for a host that the ticket does not list."""
        if (host, port) not in self.hosts:
            raise HostNotListed("it redirects to another host, which is not followed")


@dataclass
class EgressProxy:
    """Relays connections of this process's libraries to checked addresses."""

    egress: Egress
    _listener: socket.socket
    _tickets: dict[str, Ticket] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def open(cls, egress: Egress) -> AsyncIterator["EgressProxy"]:
        """Listen on a free port of the loopback address until the block ends."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        listener.setblocking(False)
        proxy = cls(egress, listener)
        accepting = asyncio.create_task(proxy._accept(), name="egress proxy")
        try:
            yield proxy
        finally:
            tasks = [accepting, *proxy._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            listener.close()

    def issue_ticket(self, hosts: Iterable[tuple[str, int]]) -> Ticket:
        """Return a new ticket for some hosts and ports; its URL is the proxy's address with a password."""
        password = secrets.token_urlsafe(32)
        port = self._listener.getsockname()[1]
        listed = frozenset((host.lower().rstrip("."), number) for host, number in hosts)
        ticket = Ticket(f"http://ticket:{password}@127.0.0.1:{port}", listed)
        self._tickets["Basic " + base64.b64encode(f"ticket:{password}".encode()).decode("ascii")] = ticket
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Make a ticket invalid for new connections."""
        self._tickets = {key: each for key, each in self._tickets.items() if each is not ticket}

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            task = asyncio.create_task(self._serve(client), name="egress connection")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with client:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError, TimeoutError, ValueError):
                head = await asyncio.wait_for(_read_head(client), _HEAD_SECONDS)
                remote = await self._open(client, head)
                if remote is None:
                    return
                with remote:
                    await loop.sock_sendall(client, b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await _relay_both(client, remote)

    async def _open(self, client: socket.socket, head: bytes) -> socket.socket | None:
        loop = asyncio.get_running_loop()
        host, port, authorization = _parse_head(head)
        ticket = self._tickets.get(authorization)
        if ticket is None:
            await loop.sock_sendall(client, _answer("407 Proxy Authentication Required"))
            return None
        try:
            ticket.check(host, port)
            return await self.egress.connect(host, port)
        except (AddressRefused, HostUnknown, HostUnreachable, HostNotListed) as fault:
            ticket.fault = fault
            log.warning("outgoing connection refused", fault=type(fault).__name__)
            await loop.sock_sendall(client, _answer("403 Forbidden"))
            return None


async def _read_head(client: socket.socket) -> bytes:
    """Return a request's head. Raises ValueError when it does not end, or is followed by anything."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = await asyncio.get_running_loop().sock_recv(client, _MAX_HEAD)
        head += received
        if not received or len(head) > _MAX_HEAD:
            raise ValueError("not a request")
    if not head.endswith(b"\r\n\r\n"):
        raise ValueError("data before the answer")
    return head


def _parse_head(head: bytes) -> tuple[str, int, str]:
    """Return host, port and authorization of a CONNECT request. Raises ValueError for anything else."""
    request, *lines = head.decode("latin-1").split("\r\n")
    method, authority, version = request.split(" ")
    host, _, port = authority.rpartition(":")
    if method != "CONNECT" or not version.startswith("HTTP/1.") or not (port.isascii() and port.isdecimal()):
        raise ValueError("not a CONNECT request")
    fields = (line.partition(":") for line in lines)
    found = [value.strip() for name, _, value in fields if name.lower() == "proxy-authorization"]
    return host.strip("[]").lower().rstrip("."), int(port), found[0] if found else ""


def _answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("ascii")


async def _relay_both(client: socket.socket, remote: socket.socket) -> None:
    """Relay until both sides have closed, or one fails."""
    tasks = [asyncio.create_task(_relay(client, remote)), asyncio.create_task(_relay(remote, client))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _relay(source: socket.socket, target: socket.socket) -> None:
    loop, buffer = asyncio.get_running_loop(), bytearray(_BUFFER)
    view = memoryview(buffer)
    while count := await loop.sock_recv_into(source, buffer):
        await loop.sock_sendall(target, view[:count])
    target.shutdown(socket.SHUT_WR)
