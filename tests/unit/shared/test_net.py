"""Rule D9: outgoing connections reach public addresses only, are checked after resolution, and follow no redirect."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from shared.errors import InvalidSettings, SluiceError
from shared.net.addresses import AddressRefused, AddressRules
from shared.net.egress import Egress, HostUnknown, HostUnreachable
from shared.net.proxy import EgressProxy, HostNotListed

# Forms of a host that the system's resolver takes for an address, and addresses that names may resolve to.
REFUSED = [
    *(
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
    ),
    *(
        "localhost",
        "LOCALHOST",
        "0",
        "0.0.0.0",
        "00.00.00.00",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "１２７.0.0.1",
        "127。0。0。1",
    ),
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.254"),
    *("169.254.0.1", "169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.170.2"),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    *(
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "192.88.99.1",
        "240.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
    ),
    *(
        "::1",
        "::",
        "0:0:0:0:0:0:0:1",
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:10.0.0.1",
    ),
    *("::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8"),
    *("2002:7f00:1::", "2002:0a00:0001::1", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1"),
    *("fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "100::1", "::ffff:0:127.0.0.1"),
    *("2606:4700::5efe:10.0.0.1", "3fff::1", "5f00::1", "2001:20::1", "4000::1"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1111", "2a00:1450:4001::1"]


def egress(*allowed: str, names: Mapping[str, Sequence[str]] | None = None) -> Egress:
    rules = AddressRules.parse(allowed)
    if names is None:
        return Egress(rules)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return names.get(host, ())

    return Egress(rules, resolve=resolve)


@asynccontextmanager
async def listener(answer: bytes = b"") -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen on every address of this machine; yield the port and what was received on each connection."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(1_000))
        writer.write(answer)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0")
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def test_D9_no_form_of_a_private_address_is_reached() -> None:
    assert len(REFUSED) >= 60
    async with listener() as (port, seen):
        for host in REFUSED:
            with pytest.raises((AddressRefused, HostUnknown)):
                (await egress().connect(host, port)).close()
            # The same as what a name resolves to, even beside a public address.
            for found in ([host], ["8.8.8.8", host]):
                with pytest.raises(AddressRefused):
                    (await egress(names={"files.example": found}).connect("files.example", port)).close()
        assert seen == []


@pytest.mark.parametrize("address", PUBLIC)
def test_D9_public_addresses_are_allowed(address: str) -> None:
    AddressRules().check(address)


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16", "fd00:ec2::254"])
def test_D9_no_setting_allows_a_metadata_service(address: str) -> None:
    with pytest.raises(AddressRefused, match="metadata service"):
        AddressRules.parse(["0.0.0.0/0", "::/0"]).check(address)


async def test_D9_an_allowed_network_works_and_only_that_one() -> None:
    async with listener() as (port, seen):
        with socket.socket() as closed:
            (await egress("127.0.0.0/30").connect("127.1", port)).close()
            with pytest.raises(AddressRefused):
                await egress("127.0.0.0/30").connect("127.0.0.8", port)
            closed.bind(("127.0.0.1", 0))
            with pytest.raises(HostUnreachable):
                await egress("127.0.0.0/30").connect("127.0.0.1", closed.getsockname()[1])
        assert len(seen) <= 1
    assert AddressRules.parse(["10.0.0.0/8"]).check("::ffff:10.1.2.3")
    with pytest.raises(AddressRefused):
        AddressRules.parse(["10.0.0.0/8"]).check("2002:0a00:0001::1")


async def test_D9_a_name_that_changes_between_check_and_connection_is_resolved_once() -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.9"]])

    async def rebind(host: str, port: int) -> Sequence[str]:
        return next(answers)

    async with listener() as (port, _):
        rebinding = Egress(AddressRules.parse(["127.0.0.1/32"]), resolve=rebind)
        with await rebinding.connect("files.example", port) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
        with pytest.raises(AddressRefused):
            await rebinding.connect("files.example", port)


@pytest.mark.parametrize("host", ["", "a b", "a/b", "user@host", "a\\b", "x" * 300, "a\0b", "-.-..", "xn--" + "a" * 70])
async def test_D9_a_host_that_is_not_a_name_is_refused(host: str) -> None:
    with pytest.raises((HostUnknown, AddressRefused)):
        await egress("127.0.0.0/8").connect(host, 443)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "x", "10.0.0.0/33"])
def test_D9_a_network_that_is_not_one_is_refused_at_start(text: str) -> None:
    with pytest.raises(InvalidSettings, match=r"10\.1\.0\.0/16"):
        AddressRules.parse([text])


async def ask(proxy_url: str, request: str, *, credentials: bool = True) -> bytes:
    """Send a request to the proxy with the ticket of its URL, and return the whole answer."""
    password, _, address = proxy_url.removeprefix("http://ticket:").partition("@")
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    import base64

    token = base64.b64encode(f"ticket:{password}".encode()).decode()
    line = f"Proxy-Authorization: Basic {token}\r\n" if credentials else ""
    writer.write(f"{request} HTTP/1.1\r\n{line}\r\n".encode())
    answer = b""
    if (answer := await reader.readline()).startswith(b"HTTP/1.1 200"):
        await reader.readline()
        writer.write(b"hello")
        writer.write_eof()
    answer += await reader.read()
    writer.close()
    return answer


async def test_D9_the_proxy_reaches_the_hosts_of_the_ticket_and_no_other() -> None:
    async with listener(b"welcome") as (port, seen), EgressProxy.open(egress("127.0.0.1/32")) as proxy:
        ticket = proxy.issue_ticket([("Localhost", port)])
        names = {"localhost": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
        proxy.egress = egress("127.0.0.1/32", names=names)
        assert (await ask(ticket.url, f"CONNECT localhost:{port}")).endswith(b"welcome")
        assert seen == [b"hello"]
        assert b"403" in await ask(ticket.url, f"CONNECT other.example:{port}")
        assert isinstance(ticket.fault, HostNotListed)
        assert b"407" in await ask(ticket.url, f"CONNECT localhost:{port}", credentials=False)
        assert await ask(ticket.url, f"GET http://localhost:{port}/") == b""
        proxy.egress = egress(names=names)
        assert b"403" in await ask(ticket.url, f"CONNECT localhost:{port}")
        assert isinstance(ticket.fault, AddressRefused)
        proxy.withdraw(ticket)
        assert b"407" in await ask(ticket.url, f"CONNECT localhost:{port}")
        assert seen == [b"hello"]


def test_D9_refusals_say_what_an_operator_can_do() -> None:
    with pytest.raises(SluiceError, match="SLUICE_DELIVERY_ALLOWED_NETWORKS"):
        AddressRules().check("10.0.0.1")
