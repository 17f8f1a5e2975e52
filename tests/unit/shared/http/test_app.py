"""What every response of an API has: security headers, problem documents, and names of wrong parameters."""

from typing import Annotated

import pytest
from fastapi import Query
from pydantic import BaseModel, ConfigDict

from shared.errors import SluiceError, TransientError
from shared.http.app import create_app, handle_errors
from shared.http.bodies import BODY_MAX
from shared.http.identity import CurrentIdentity
from shared.http.problems import Problem, not_found
from shared.http.routing import create_router, service_of
from shared.lifecycle import Health
from tests.unit.shared.http.clients import authenticate, client_of, connect

router = create_router("/api/v1/things", "things")


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: list[str] | None = None
    title: str | None = None


@router.get("")
async def list_things(
    _: CurrentIdentity, limit: int = 5, state: Annotated[list[str] | None, Query()] = None
) -> list[str]:
    return [str(limit), *(state or [])]


@router.get("/filtered")
async def filter_things(_: CurrentIdentity, which: Annotated[Filter, Query()]) -> list[str]:
    return which.state or []


@router.post("")
async def create_thing(_: CurrentIdentity, thing: dict[str, str]) -> str:
    return thing["name"]


@router.get("/unavailable")
async def get_unavailable(_: CurrentIdentity) -> None:
    raise TransientError("gone fishing")


@router.get("/broken")
async def get_broken(_: CurrentIdentity) -> None:
    raise KeyError("secret")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 200),
        ("?limit=x", 422),
        ("/nowhere", 404),
        ("/unavailable", 503),
        ("/broken", 500),
    ],
)
async def test_every_response_carries_the_security_headers(path: str, status: int) -> None:
    async with client_of(router) as client:
        response = await client.get(f"/api/v1/things{path}")
    assert response.status_code == status
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("status=failed", ["status"]),
        ("limit=1&limit=2", ["limit"]),
        ("limit=1&limit=2&status=failed&q=x", ["limit", "q", "status"]),
        ("state=a&state=b", []),
        ("", []),
    ],
)
async def test_I2_unknown_and_repeated_parameters_are_refused_by_name(query: str, wrong: list[str]) -> None:
    async with client_of(router) as client:
        response = await client.get(f"/api/v1/things?{query}")
    if wrong:
        assert response.status_code == 422
        assert sorted(each["field"] for each in response.json()["errors"]) == wrong
        assert all(name in response.json()["detail"] for name in wrong)
    else:
        assert response.status_code == 200


async def test_I2_so_they_are_where_a_model_reads_them() -> None:
    async with client_of(router) as client:
        good = await client.get("/api/v1/things/filtered?state=a&state=b&title=x")
        bad = await client.get("/api/v1/things/filtered?title=a&title=b")
    assert (good.status_code, good.json()) == (200, ["a", "b"])
    assert [each["field"] for each in bad.json()["errors"]] == ["title"]


async def test_U1_a_stranger_gets_401_and_is_not_told_about_parameters() -> None:
    async with client_of(router, authenticated=False) as client:
        assert (await client.get("/api/v1/things?status=failed")).status_code == 401


async def test_I2_a_method_that_an_address_does_not_support_is_answered_with_those_it_does() -> None:
    async with client_of(router) as client:
        response = await client.delete("/api/v1/things")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_a_body_that_is_too_large_is_refused_and_others_arrive_whole() -> None:
    async with client_of(router) as client:
        large = await client.post("/api/v1/things", json={"name": "x" * BODY_MAX})
        small = await client.post("/api/v1/things", json={"name": "x" * (BODY_MAX // 2)})
    assert (large.status_code, large.json()["type"].rpartition("/")[2]) == (413, "too-large")
    assert (small.status_code, len(small.json())) == (200, BODY_MAX // 2)


async def test_domain_errors_are_translated_at_the_edge_and_others_are_unexpected() -> None:
    class Missing(SluiceError):
        pass

    class Counter:
        def count(self) -> None:
            raise Missing

    def to_problem(error: SluiceError) -> Problem | None:
        return not_found("thing") if isinstance(error, Missing) else None

    app = create_app(title="Test", service="test", health=Health(), authenticate=authenticate, services=[Counter()])
    handle_errors(app, to_problem, Missing)

    @app.get("/api/v1/counts")
    async def get_counts(counter: Annotated[Counter, service_of(Counter)]) -> None:
        counter.count()

    @app.get("/api/v1/sums")
    async def get_sums() -> None:
        raise SluiceError("no one knows this error")

    async with connect(app) as client:
        missing, unexpected = [await client.get(f"/api/v1/{path}") for path in ("counts", "sums")]
    assert (missing.status_code, missing.json()["detail"]) == (404, "There is no thing with this id.")
    assert unexpected.status_code == 500
    assert "no one knows" not in unexpected.text
