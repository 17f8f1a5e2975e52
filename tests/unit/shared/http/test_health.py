"""`/readyz` says in words how each part of a process is, those that are fine included."""

import asyncio

import httpx
import pytest

from shared import lifecycle
from shared.lifecycle import Health, health_app


async def get_ready(health: Health) -> httpx.Response:
    transport = httpx.ASGITransport(health_app(health))
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
        return await client.get("/readyz")


async def fail() -> str | None:
    raise ValueError("secret")


async def test_a_ready_process_names_its_parts() -> None:
    health = Health()
    health.add_check("postgres", lambda: None)
    health.add_check("runs", lambda: None)
    response = await get_ready(health)
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ready", "parts": {"postgres": "ok", "runs": "ok"}},
    )
    assert "retry-after" not in response.headers


async def test_a_process_that_is_not_ready_says_of_each_part_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_CHECK_LIMIT", 0.05)
    health = Health()
    health.add_check("postgres", lambda: "PostgreSQL does not answer")
    health.add_check("store", asyncio.Event().wait)  # type: ignore[arg-type]  # a check that never answers
    health.add_check("source", fail)
    health.add_check("runs", lambda: None)
    response = await get_ready(health)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json() == {
        "status": "not ready",
        "parts": {
            "postgres": "PostgreSQL does not answer",
            "store": "no answer within 0.05 s",
            "source": "its check failed: ValueError",
            "runs": "ok",
        },
    }


async def test_a_process_that_stops_is_not_ready() -> None:
    health = Health()
    health.stopping.set()
    assert (await get_ready(health)).json() == {"status": "not ready", "parts": {"process": "stopping"}}
