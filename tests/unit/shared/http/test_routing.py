"""Routes resolve their caller and services themselves, and behave and are documented as the framework's own routes."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, FastAPI, Header, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from shared.http.app import create_app
from shared.http.identity import CurrentIdentity
from shared.http.routing import OperationRoute, add_routes, create_router, service_of
from shared.lifecycle import Health
from tests.unit.shared.http.clients import CALLER, authenticate, connect


class Shelf:
    def __init__(self, name: str) -> None:
        self.name = name


Shelves = Annotated[Shelf, service_of(Shelf)]


class Book(BaseModel):
    title: str


async def get_book(identity: CurrentIdentity, book_id: UUID, request: Request, shelf: Shelves) -> Response:
    return JSONResponse([identity.name, str(book_id), request.method, shelf.name])


async def put_book(
    identity: CurrentIdentity, book_id: UUID, book: Book, shelf: Shelves, note: Annotated[str, Header()] = "none"
) -> Book:
    return Book(title=" ".join([identity.name, book.title, shelf.name, note]))


def create_library(router: APIRouter) -> FastAPI:
    router.get("/{book_id:uuid}", response_model=Book)(get_book)
    router.put("/{book_id:uuid}")(put_book)
    app = create_app(
        title="Test", service="test", health=Health(), authenticate=authenticate, services=[Shelf("upper")]
    )
    add_routes(app, router)
    return app


async def test_a_route_gets_its_caller_its_services_and_what_the_framework_validates() -> None:
    app, book_id = create_library(create_router("/api/v1/books", "books")), uuid4()
    async with connect(app) as client:
        found = await client.get(f"/api/v1/books/{book_id}")
        saved = await client.put(f"/api/v1/books/{book_id}", json={"title": "Emma"}, headers={"note": "new"})
        wrong = await client.put(f"/api/v1/books/{book_id}", json={})
        unknown = await client.get(f"/api/v1/books/{book_id}?colour=red")
        nowhere = await client.get("/api/v1/books/17")
    assert found.json() == [CALLER.name, str(book_id), "GET", "upper"]
    assert saved.json() == {"title": f"{CALLER.name} Emma upper new"}
    assert [each["field"] for each in wrong.json()["errors"]] == ["title"]
    assert (unknown.status_code, [each["field"] for each in unknown.json()["errors"]]) == (422, ["colour"])
    assert nowhere.status_code == 404


async def test_U1_a_stranger_gets_401_whatever_the_body_is() -> None:
    app = create_library(create_router("/api/v1/books", "books"))
    async with connect(app, authenticated=False) as client:
        for body in (b"{", b'{"title": 1}', b"\xff"):
            response = await client.put(f"/api/v1/books/{uuid4()}", content=body)
            assert response.status_code == 401, body


async def test_a_route_that_only_takes_ids_and_returns_a_response_is_called_without_the_framework() -> None:
    app = create_library(create_router("/api/v1/books", "books"))
    routes: dict[str, Any] = {each.name: each for each in app.routes if isinstance(each, OperationRoute)}
    assert routes["get_book"].is_direct
    assert not routes["put_book"].is_direct


async def test_I1_a_route_is_documented_as_the_framework_s_own() -> None:
    own = create_library(create_router("/api/v1/books", "books")).openapi()
    assert own == create_library(APIRouter(prefix="/api/v1/books", tags=["books"])).openapi()
