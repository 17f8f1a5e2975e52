"""A process serves HTTPS with the certificate that its settings name, and HTTP no more."""

import asyncio
import ssl
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from deploy.docker.healthcheck import address, is_alive
from deploy.local.ports import LOOPBACK, free_port
from shared.errors import InvalidSettings
from shared.lifecycle import Health, health_app, run
from shared.settings import ServiceSettings
from tests.integration.deploy.authority import Authority
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


async def test_https_is_served_with_a_certificate_that_can_be_checked(authority: Authority, tmp_path: Path) -> None:
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
        stranger = ssl.create_default_context(cafile=str(Authority(tmp_path, "another authority").ca))
        async with httpx.AsyncClient(verify=stranger) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"https://{LOOPBACK}:{port}/readyz")
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://{LOOPBACK}:{port}/readyz")
        # What the images' health check does.
        assert await asyncio.to_thread(is_alive, address(given))
        assert not await asyncio.to_thread(is_alive, address({"SLUICE_SCHEDULER_HTTP_PORT": str(port)}))
    finally:
        health.stopping.set()
        await process


def test_a_certificate_without_its_key_is_refused(authority: Authority) -> None:
    given = environment(authority, 0)
    del given["SLUICE_SCHEDULER_HTTP_TLS_KEY_FILE"]
    with pytest.raises(InvalidSettings, match="HTTP_TLS_KEY_FILE"):
        Settings.load(given)
