"""An issuer that only a proxy reaches: HTTPS_PROXY names the proxy, NO_PROXY the hosts that need none."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.clock import SystemClock
from shared.oidc_access import OidcAccess
from shared.oidc_issuer import IssuerUnavailable, OidcIssuer
from tests.support.issuer import TestIssuer, run_issuer

HOST = "issuer.example"


@dataclass
class ConnectProxy:
    """A proxy that opens tunnels (CONNECT) to one place, whatever they ask for, and notes what they asked for."""

    target: int
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        """Run it; yield its address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b" ")[1].decode())
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()
    target.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a certificate for the issuer's name, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "issuer.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def issuer(certificate: Path) -> Iterator[TestIssuer]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with run_issuer(SystemClock().now, tls=tls, url=f"https://{HOST}") as issuer:
        yield issuer


async def find_token_endpoint(issuer: TestIssuer, ca_file: Path) -> str:
    access = OidcAccess(
        issuer=issuer.url,
        audiences=("sluice",),
        roles_claim="roles",
        roles={},
        tenant_claim="tenant",
        tenants={},
        leeway=timedelta(seconds=60),
        ca_file=str(ca_file),
    )
    async with OidcIssuer.open(access, SystemClock()) as opened:
        return await opened.find_endpoint("token_endpoint")


async def test_an_issuer_is_reached_through_the_proxy_of_the_environment(
    issuer: TestIssuer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ConnectProxy(issuer.port)
    async with proxy.run() as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert await find_token_endpoint(issuer, certificate) == f"https://{HOST}/token"
        assert set(proxy.asked) == {f"{HOST}:443"}


async def test_no_proxy_is_used_for_a_host_of_no_proxy(
    issuer: TestIssuer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ConnectProxy(issuer.port)
    async with proxy.run() as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        monkeypatch.setenv("NO_PROXY", f"localhost,{HOST}")
        with pytest.raises(IssuerUnavailable):
            await find_token_endpoint(issuer, certificate)
        assert proxy.asked == []
