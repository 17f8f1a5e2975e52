"""U1, U2, U4 at the door that both APIs share: who asks, by which token or cookie, from where, and with which role."""

from typing import Annotated
from uuid import UUID, uuid4

import httpx
import pytest

from shared import auth
from shared.auth import Identity, Token
from shared.http.app import SESSION_COOKIE, CurrentIdentity, new_api, require
from shared.lifecycle import Health

OURS = auth.mint(uuid4())
JWT = "aaa.bbb.ccc"


def somebody(name: str) -> Identity:
    return Identity(uuid4(), UUID(int=1), uuid4(), name, frozenset({"viewer"}))


async def authenticate(token: Token) -> Identity | None:
    return somebody("ours") if token == OURS else None


async def recognise(token: str) -> Identity | None:
    return somebody("theirs") if token == JWT else None


def client(*, issuer: bool = True) -> httpx.AsyncClient:
    app = new_api(
        title="Test",
        service="test",
        health=Health(),
        authenticate=authenticate,
        recognise=recognise if issuer else None,
    )

    @app.api_route("/who", methods=["GET", "POST"])
    async def who(asks: CurrentIdentity) -> str:
        return asks.name

    @app.get("/operators")
    async def operators(asks: Annotated[Identity, require("operator")]) -> str:
        return asks.name

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sluice.test")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Authorization": f"Bearer {OURS}"}, "ours"),
        ({"Authorization": f"bearer  {OURS} "}, "ours"),
        ({"Authorization": f"Bearer {JWT}"}, "theirs"),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}"}, "ours"),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Authorization": "Basic eDp5"}, "ours"),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Authorization": f"Bearer {JWT}"}, "theirs"),
    ],
)
async def test_U1_somebody_is_known_by_token_or_cookie(headers: dict[str, str], name: str) -> None:
    async with client() as asking:
        answer = await asking.get("/who", headers=headers)
    assert (answer.status_code, answer.json()) == (200, name)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Basic {OURS}"},
        {"Authorization": f"Bearer {auth.mint(OURS.identity_id)}"},
        {"Cookie": f"{SESSION_COOKIE}={JWT}"},
        {"Cookie": f"other={OURS}"},
        {"Cookie": f"{SESSION_COOKIE}={OURS}", "Authorization": "Bearer x"},
    ],
)
async def test_U1_nobody_else_is(headers: dict[str, str]) -> None:
    async with client() as asking:
        answer = await asking.get("/who", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_U1_without_an_issuer_its_tokens_are_nobodys() -> None:
    async with client(issuer=False) as asking:
        assert (await asking.get("/who", headers={"Authorization": f"Bearer {JWT}"})).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": f"{SESSION_COOKIE}={OURS}"}, 403),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Origin": "http://sluice.test"}, 200),
        ({"Authorization": f"Bearer {OURS}"}, 200),
    ],
)
async def test_U4_a_session_changes_things_from_our_own_pages_only(headers: dict[str, str], status: int) -> None:
    async with client() as asking:
        assert (await asking.post("/who", headers=headers)).status_code == status


async def test_U2_a_role_that_is_missing_is_named() -> None:
    async with client() as asking:
        answer = await asking.get("/operators", headers={"Authorization": f"Bearer {OURS}"})
    assert answer.status_code == 403
    assert "operator" in answer.json()["detail"]
