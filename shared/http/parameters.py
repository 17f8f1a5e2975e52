"""Query parameters: read by pydantic in one go, and refused where they are unknown or repeated."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

Query = TypeVar("Query", bound=BaseModel)
Fault = dict[str, Any]


def parse_query(model: type[Query], request: Request) -> Query:
    """Read a request's query parameters into a model that forbids extra fields.

    The framework can do so too, and takes ten times as long. Raises RequestValidationError, which names each parameter
    that is unknown, repeated or invalid.
    """
    values, faults = _collect(request.query_params.multi_items(), _lists_of(model))
    try:
        query = model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_context=False)
        faults += [{**each, "loc": ("query", *each["loc"])} for each in found]
    if faults:
        raise RequestValidationError(faults)
    return query


def query_parameters(model: type[BaseModel]) -> dict[str, Any]:
    """Return the `openapi_extra` of an operation that calls `parse_query` with this model."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    described = [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        | ({"description": each["description"]} if "description" in each else {})
        for name, each in schema["properties"].items()
    ]
    return {"parameters": described}


async def check_parameters(request: Request) -> None:
    """Check the names of a request's query parameters against those that its operation declares.

    Operations that use `parse_query` do so themselves. Raises RequestValidationError.
    """
    if not request.scope["query_string"]:
        return
    # Routes have no hash, and live as long as their application.
    route, known = request.scope.get("route"), request.app.state.query_parameters
    if id(route) not in known:
        known[id(route)] = _declared(route)
    if (declared := known[id(route)]) is None:
        return
    _, faults = _collect(request.query_params.multi_items(), declared)
    faults += [
        {"type": "extra_forbidden", "loc": ("query", name), "msg": "unknown parameter"}
        for name in request.query_params
        if name not in declared
    ]
    if faults:
        raise RequestValidationError(faults)


def _collect(items: Iterable[tuple[str, str]], lists: Mapping[str, bool]) -> tuple[dict[str, Any], list[Fault]]:
    values: dict[str, Any] = {}
    repeated: dict[str, Fault] = {}
    for name, value in items:
        if lists.get(name, False):
            values.setdefault(name, []).append(value)
        elif name in values:
            repeated[name] = {"type": "repeated", "loc": ("query", name), "msg": "is given more than once"}
        else:
            values[name] = value
    return values, list(repeated.values())


@lru_cache(maxsize=1_000)
def _lists_of(model: type[BaseModel]) -> Mapping[str, bool]:
    """Return for each field of a model whether it takes several values."""
    return {field.alias or name: _is_list(field.annotation) for name, field in model.model_fields.items()}


def _declared(route: object) -> Mapping[str, bool] | None:
    """Return for each query parameter of a route whether it takes several; None where the route checks them itself."""
    if not isinstance(route, APIRoute) or "parameters" in (route.openapi_extra or {}):
        return None
    return _query_of(route.dependant)


def _query_of(dependant: Dependant) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for each in dependant.query_params:
        annotation = each.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= _lists_of(annotation)
        else:
            found[each.alias] = _is_list(annotation)
    for dependency in dependant.dependencies:
        found |= _query_of(dependency)
    return found


def _is_list(annotation: object) -> bool:
    if get_origin(annotation) in {list, tuple, set, frozenset}:
        return True
    return any(_is_list(each) for each in get_args(annotation))
