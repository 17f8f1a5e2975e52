"""A process serves HTTPS, and no HTTP, with the certificate of its settings."""

import asyncio
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.docker.healthcheck import find_address, is_alive
from deploy.local.ports import LOOPBACK, free_port
from shared.errors import InvalidSettings
from shared.lifecycle import Health, health_app, run
from shared.settings import ServiceSettings
from tests.support.authority import Authority
from tests.support.wait import eventually


class Settings(ServiceSettings):
    service: ClassVar[str] = "SCHEDULER"


def environment(authority: Authority, port: int) -> dict[str, str]:
    certificate, key = authority.sign("scheduler", LOOPBACK, "localhost")
    return {
        "SLUICE_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "SLUICE_SCHEDULER_POSTGRES": "postgresql://a@/b",
        "SLUICE_SCHEDULER_HTTP_PORT": str(port),
        "SLUICE_SCHEDULER_HTTP_TLS_CERT_FILE": str(certificate),
        "SLUICE_SCHEDULER_HTTP_TLS_KEY_FILE": str(key),
    }


@pytest.fixture(autouse=True)
async def restored_signals() -> AsyncIterator[None]:
    """Restore the signal handlers that a process installs, or this one could never be interrupted again."""
    yield
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


async def test_https_is_served_with_a_verifiable_certificate(authority: Authority, tmp_path: Path) -> None:
    port = free_port()
    given = environment(authority, port)
    health = Health()
    process = asyncio.create_task(run({}, app=health_app(health), health=health, settings=Settings.load(given)))
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    try:
        async with httpx.AsyncClient(verify=trusting) as client:

            async def answered() -> bool:
                assert not process.done()
                try:
                    return (await client.get(f"https://{LOOPBACK}:{port}/readyz")).status_code == 200
                except httpx.ConnectError:
                    return False

            await eventually(answered)
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(bytes.fromhex("16030100c8010000"))  # the beginning of a ClientHello, and never its rest
        stranger = ssl.create_default_context(cafile=str(Authority(tmp_path, "another authority").ca))
        async with httpx.AsyncClient(verify=stranger) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"https://{LOOPBACK}:{port}/readyz")
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://{LOOPBACK}:{port}/readyz")
        # As the images' health check does.
        assert await asyncio.to_thread(is_alive, *find_address(given))
        assert await asyncio.wait_for(reader.read(), 40) == b"", (
            "half a handshake is closed after ten seconds, not sixty"
        )
        writer.close()
        assert not await asyncio.to_thread(is_alive, port, tls=False)
    finally:
        health.stopping.set()
        await process


def test_a_certificate_without_its_key_is_rejected(authority: Authority) -> None:
    given = environment(authority, 0)
    del given["SLUICE_SCHEDULER_HTTP_TLS_KEY_FILE"]
    with pytest.raises(InvalidSettings, match="HTTP_TLS_KEY_FILE"):
        Settings.load(given)


async def test_a_used_port_and_an_invalid_certificate_file_are_reported_with_their_settings(
    authority: Authority, tmp_path: Path
) -> None:
    health = Health()
    with socket.create_server((LOOPBACK, 0)) as other:
        given = environment(authority, other.getsockname()[1])
        with pytest.raises(InvalidSettings, match=r"cannot serve on .*in use.*SLUICE_SCHEDULER_HTTP_PORT"):
            await run({}, app=health_app(health), health=health, settings=Settings.load(given))
    for bad in (tmp_path / "nowhere.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").touch()
        given = environment(authority, 0) | {"SLUICE_SCHEDULER_HTTP_TLS_CERT_FILE": str(bad)}
        with pytest.raises(InvalidSettings, match=f"SLUICE_SCHEDULER_HTTP_TLS_CERT_FILE, _KEY_FILE .*{bad.name}"):
            await run({}, app=health_app(health), health=health, settings=Settings.load(given))


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        (None, {"scheme": "https", "from": "203.0.113.7"}),
        ("10.0.0.0/8, 127.0.0.0/8", {"scheme": "https", "from": "203.0.113.7"}),
        ("10.0.0.0/8", {"scheme": "http", "from": LOOPBACK}),
    ],
)
async def test_U4_only_a_trusted_proxy_can_set_the_clients_address_and_scheme(
    trusted: str | None, seen: dict[str, str]
) -> None:
    async def show(request: Request) -> Response:
        return JSONResponse({"scheme": request.url.scheme, "from": request.client.host if request.client else ""})

    port, health = free_port(), Health()
    given = {"SLUICE_KAFKA_BOOTSTRAP": "127.0.0.1:1", "SLUICE_SCHEDULER_POSTGRES": "postgresql://a@/b"}
    given["SLUICE_SCHEDULER_HTTP_PORT"] = str(port)
    if trusted is not None:
        given["SLUICE_SCHEDULER_HTTP_TRUSTED_PROXIES"] = trusted
    app = Starlette(routes=[Route("/", show)])
    process = asyncio.create_task(run({}, app=app, health=health, settings=Settings.load(given)))
    # The address that the client claims comes first; the proxy appends the address that it sees.
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "X-Forwarded-Proto": "https"}
    try:
        async with httpx.AsyncClient(headers=forwarded) as client:

            async def answered() -> bool:
                assert not process.done()
                try:
                    return bool((await client.get(f"http://{LOOPBACK}:{port}/")).json() == seen)
                except httpx.ConnectError:
                    return False

            await eventually(answered)
    finally:
        health.stopping.set()
        await process
