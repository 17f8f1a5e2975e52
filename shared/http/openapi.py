"""The OpenAPI document: what the framework leaves out of an operation, and what routes declare of their responses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import BaseModel
from starlette.routing import BaseRoute

from shared.http.identity import BEARER_SCHEME, SESSION_COOKIE, SESSION_SCHEME
from shared.http.problems import MEDIA_TYPE

LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
SERVERS = [
    {
        "url": "https://{host}",
        "description": "the address of the installation",
        "variables": {"host": {"default": "sluice.example", "description": "host name, and port where needed"}},
    }
]
_JSON = "application/json"
_METHODS = ("get", "put", "post", "delete", "patch", "head")
_SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    BEARER_SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a JWT of the configured identity provider",
    },
    SESSION_SCHEME: {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A session from the login page",
    },
}
_HEADERS: dict[str, dict[str, Any]] = {
    "Accept-Ranges": {"description": "`bytes`: Range is supported", "schema": {"type": "string"}},
    "Content-Disposition": {"description": "the file's name", "schema": {"type": "string"}},
    "Content-Length": {"description": "the size in bytes", "schema": {"type": "integer", "minimum": 0}},
    "Content-Range": {"description": "which bytes of how many (RFC 9110)", "schema": {"type": "string"}},
    "ETag": {"description": "the version, for If-Match and If-None-Match", "schema": {"type": "string"}},
    "Location": {"description": "the path of the new resource", "schema": {"type": "string"}},
    "Repr-Digest": {"description": "SHA-256 of the whole file (RFC 9530)", "schema": {"type": "string"}},
    "Digest": {"description": "The same for older clients (RFC 3230)", "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}},
}
_PROBLEM_HEADERS = {
    "401": ("WWW-Authenticate",),
    "412": ("ETag",),
    "416": ("Content-Range",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
FILE_MEDIA_TYPE = "application/octet-stream"
"""The media type of every file: the only one that all client generators keep as bytes."""
_BINARY = {"type": "string", "format": "binary"}
Responses = dict[int | str, dict[str, Any]]


def response_headers(*names: str) -> dict[str, Any]:
    """Return the `headers` of a documented response."""
    return {"headers": {name: _HEADERS[name] for name in names}}


def json_response(
    example: object = None, *, status: int = 200, headers: tuple[str, ...] = (), schema: Mapping[str, Any] | None = None
) -> Responses:
    """Return the `responses` entry of a JSON response: an example, its headers, and a schema where no model has it."""
    content = ({"example": example} if example is not None else {}) | ({"schema": dict(schema)} if schema else {})
    return {status: ({"content": {_JSON: content}} if content else {}) | response_headers(*headers)}


def file_response(*, status: int = 200, headers: tuple[str, ...] = ()) -> Responses:
    """Return the `responses` entry of a file, which generated clients keep as bytes."""
    return {status: {"content": {FILE_MEDIA_TYPE: {"schema": _BINARY}}} | response_headers(*headers)}


def empty_response(status: int, description: str, *headers: str) -> Responses:
    """Return the `responses` entry of a response without a body."""
    return {status: {"description": description} | response_headers(*headers)}


def complete_document(
    document: dict[str, Any], routes: Sequence[BaseRoute], schemas: Sequence[type[BaseModel]] = ()
) -> None:
    """Add to a document what the framework leaves out.

    `routes` are those that it describes, `schemas` models that it refers to although no response is of them alone.
    """
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SECURITY_SCHEMES
    for model in schemas:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        components["schemas"] = schema.pop("$defs", {}) | {model.__name__: schema} | components.get("schemas", {})
    for method, operation in _operations(document):
        _complete_security(operation)
        _complete_parameters(operation)
        _complete_responses(operation, has_body=method != "head")
    for route in iter_route_contexts(routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            _restore_examples(document["paths"][route.path_format], route)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        yield from ((method, methods[method]) for method in _METHODS if method in methods)


def _complete_security(operation: dict[str, Any]) -> None:
    closed = "security" in operation
    operation["security"] = [{BEARER_SCHEME: []}, {SESSION_SCHEME: []}] if closed else []


def _complete_parameters(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter.setdefault("description", f"the id of the {parameter['name'].removesuffix('_id')}")
        if parameter["name"] == "If-Match":
            # Its absence is answered with 428, and not, as a missing parameter, with 422.
            parameter["required"] = "428" in operation["responses"]
        parameter["schema"] = _without_null(parameter["schema"])


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which may be absent and is never null."""
    choices = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    found = {name: each for name, each in schema.items() if name != "title"}
    if "default" in found and found["default"] is None:
        del found["default"]
    if len(choices) == 1 and len(choices) < len(schema["anyOf"]):
        del found["anyOf"]
        return {**choices[0], **found}
    return {**found, "anyOf": choices} if choices else found


def _complete_responses(operation: dict[str, Any], *, has_body: bool) -> None:
    for status, response in operation["responses"].items():
        if MEDIA_TYPE not in response.get("content", {}):
            if not has_body:
                response.pop("content", None)
            continue
        response["content"].pop(_JSON, None)
        if names := _PROBLEM_HEADERS.get(status):
            response.setdefault("headers", {}).update(response_headers(*names)["headers"])


def _restore_examples(methods: dict[str, Any], route: RouteContext) -> None:
    """Put the examples of a route's responses back in whole: the framework leaves out what is null in them."""
    for status, response in route.responses.items():
        example = response.get("content", {}).get(_JSON, {}).get("example")
        for method in (route.methods or set()) if example is not None else ():
            methods[method.lower()]["responses"][str(status)]["content"][_JSON]["example"] = example
