"""The examples of an OpenAPI document, as the requests that they stand for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4


@dataclass(frozen=True)
class ExampleRequest:
    """A request made of one example: of a query parameter, or of a body."""

    operation: str
    method: str
    path: str
    query: dict[str, Any]
    body: Any = None


def list_example_requests(document: dict[str, Any]) -> Iterator[ExampleRequest]:
    """Yield a request for each example of a query parameter and of a JSON body; ids in paths are unknown ones."""
    for path, methods in document["paths"].items():
        for method, details in methods.items():
            name, address = details["operationId"], _fill(path)
            required = {
                each["name"]: _first(each) for each in details.get("parameters", []) if _is_required_query(each)
            }
            for each in details.get("parameters", []):
                for value in each["schema"].get("examples", []) if each["in"] == "query" else ():
                    yield ExampleRequest(name, method.upper(), address, required | {each["name"]: value}, None)
            for body in _bodies(document, details):
                yield ExampleRequest(name, method.upper(), address, required, body)


def _fill(path: str) -> str:
    return "/".join(str(uuid4()) if part.startswith("{") else part for part in path.split("/"))


def _is_required_query(parameter: dict[str, Any]) -> bool:
    return parameter["in"] == "query" and bool(parameter.get("required"))


def _first(parameter: dict[str, Any]) -> Any:
    return parameter["schema"]["examples"][0]


def _bodies(document: dict[str, Any], details: dict[str, Any]) -> list[Any]:
    content = details.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [*schema.get("examples", []), *([content["example"]] if "example" in content else [])]
