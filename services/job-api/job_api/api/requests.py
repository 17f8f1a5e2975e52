"""What routes take from a request beside its body: versions seen, keys of repetition."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse

from job_api.store import Once
from job_api.store.change import Answer
from shared.http.problems import Problem, ProblemType

Query = TypeVar("Query", bound=BaseModel)
_VERSION = re.compile(r'"(\d{1,18})"')

IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=1_000, description="the ETag last seen, or *", examples=['"3"'])
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="a name for this request: sent again with it, it is answered as before and done once",
        examples=["3f6b1f0e-5a0a-4d2a-a2ee-0c7c3c1d2b4f"],
    ),
]


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def seen(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that the caller has seen; None for `*`. Raises Problem 428 when nothing is said."""
    if if_match is None:
        raise Problem(
            ProblemType.IF_MATCH_REQUIRED,
            "Send the job's ETag as If-Match, so that nobody's change is overwritten unseen.",
        )
    return versions(if_match)


def versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that the caller has seen; None for `*` or nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (tag.strip() for tag in if_match.split(","))
    return frozenset(int(found[1]) for tag in tags if (found := _VERSION.fullmatch(tag)))


def once(operation: str) -> Callable[..., Awaitable[Once]]:
    """Return the dependency of an operation that makes something."""

    async def found(request: Request, key: IdempotencyKey = None) -> Once:
        return Once(operation, key, hashlib.sha256(await request.body()).hexdigest())

    return found


def asked(query: type[Query], request: Request) -> Query:
    """Read a request's query parameters; the framework does so too, and takes ten times as long.

    Raises RequestValidationError.
    """
    try:
        return query.model_validate(dict(request.query_params))
    except ValidationError as error:
        found = error.errors(include_context=False)
        raise RequestValidationError([{**each, "loc": ("query", *each["loc"])} for each in found]) from None


def parameters_of(query: type[BaseModel]) -> list[dict[str, Any]]:
    """Return how the OpenAPI document describes the parameters that `asked` reads."""
    described = query.model_json_schema()
    required = described.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        | ({"description": schema["description"]} if "description" in schema else {})
        for name, schema in described["properties"].items()
    ]


def answered(answer: Answer) -> JSONResponse:
    """Return an answer that was made now or remembered."""
    return JSONResponse(answer["body"], answer["status"], answer["headers"])
