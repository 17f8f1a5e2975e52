"""What the API's document says of an operation's answers: an example of the good one, and each error."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from shared.http.problems import ProblemType, error_responses

_JSON = "application/json"


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that may be refused with these statuses, beside those that any may.

    429 is the job API's, which passes requests on and limits how often a token asks.
    """
    return error_responses(*(each for each in ProblemType if each.status in statuses))


def answers(
    example: object, *errors: int, status: int = 200, schema: dict[str, str] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that answers with JSON like `example`, or with one of these errors.

    `schema` is of an answer that has no model.
    """
    content: dict[str, object] = {"example": example} | ({"schema": schema} if schema else {})
    return {**refused(*errors), status: {"content": {_JSON: content}}}


def include(api: FastAPI, *routers: APIRouter) -> None:
    """Give an application these routes, and its document their examples whole: FastAPI leaves out what is null."""
    for router in routers:
        api.include_router(router)
    made = api.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        for route in (route for router in routers for route in router.routes):
            if isinstance(route, APIRoute):
                _complete(document["paths"][route.path_format], route)
        return document

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change the document


def _complete(methods: dict[str, Any], route: APIRoute) -> None:
    for status, answer in route.responses.items():
        example = answer.get("content", {}).get(_JSON, {}).get("example")
        for method in (route.methods or set()) if example is not None else ():
            methods[method.lower()]["responses"][str(status)]["content"][_JSON]["example"] = example
