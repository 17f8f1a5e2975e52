"""What our OpenAPI documents must have besides being valid: enough for readers and client generators (I1)."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")
ALWAYS = {"401", "403", "422", "429", "503"}
"""Errors that any operation may return."""
_PATH = re.compile(r"(/([a-z0-9]+(-[a-z0-9]+)*|\{[a-z_]+\}))+")
_OPERATION_ID = re.compile(r"[a-z]+([A-Z][a-z]*)*")
_UNBOUNDED_FORMATS = {"uuid", "date-time", "binary"}

Document = Mapping[str, Any]


def find_faults(document: Document) -> list[str]:
    """Return all faults of a document; an empty list for a correct one."""
    operations = list(iterate_operations(document))
    found = [fault for name, operation in operations for fault in _operation(document, name, operation)]
    found += [f"{path}: not lower-case words with hyphens" for path in document["paths"] if not _PATH.fullmatch(path)]
    ids = Counter(operation.get("operationId") for _, operation in operations)
    found += [f"operationId {each} is used {count} times" for each, count in ids.items() if count > 1]
    return found + [f"component {name} is not used" for name in _unused(document)]


def iterate_operations(document: Document) -> Iterator[tuple[str, Document]]:
    """Yield each operation with its name, such as `GET /api/v1/jobs`."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def _operation(document: Document, name: str, operation: Document) -> Iterator[str]:
    if not _OPERATION_ID.fullmatch(operation.get("operationId", "")):
        yield f"{name}: no operationId in camelCase"
    for member in ("summary", "description", "tags"):
        if not operation.get(member):
            yield f"{name}: no {member}"
    for parameter in operation.get("parameters", []):
        where = f"{name}: parameter {parameter['name']}"
        if not parameter.get("description"):
            yield f"{where} is not described"
        yield from _limits(document, where, parameter["schema"])
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        if not has_example(document, content):
            yield f"{name}: no example of a body as {media}"
        yield from _limits(document, f"{name}: body", content["schema"])
    yield from _responses(document, name, operation["responses"])


def _responses(document: Document, name: str, responses: Document) -> Iterator[str]:
    good = [status for status in responses if status.startswith("2")]
    if not good:
        yield f"{name}: no success response"
    for status in good:
        for media, content in responses[status].get("content", {}).items():
            if media != "text/event-stream" and not has_example(document, content):
                yield f"{name}: no example of a response {status} as {media}"
    for status, response in responses.items():
        if not response.get("description"):
            yield f"{name}: {status} is not described"
        if status.startswith(("4", "5")) and set(response.get("content", {})) != {"application/problem+json"}:
            yield f"{name}: {status} is not only problem+json"
    if missing := ALWAYS - set(responses):
        yield f"{name}: does not list {', '.join(sorted(missing))}"


def has_example(document: Document, content: Document) -> bool:
    """Return whether a body or a response, or its schema, has an example."""
    if "example" in content or content.get("examples"):
        return True
    schema = resolve(document, content.get("schema", {}))
    if schema.get("examples") or schema.get("format") == "binary":
        return True
    # A list is illustrated by the examples of its items.
    properties = schema.get("properties", {})
    shown = [resolve(document, each.get("items", {})) for each in properties.values() if each.get("type") == "array"]
    return bool(shown) and all(each.get("examples") for each in shown)


def resolve(document: Document, schema: Document) -> Document:
    """Return the schema that a reference points to, or the schema itself."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _limits(document: Document, where: str, schema: Document, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the texts, lists and numbers of a schema that have no limit."""
    if (reference := schema.get("$ref")) in seen:
        return
    seen = seen | {reference} if reference else seen
    schema = resolve(document, schema)
    for each in [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]:
        yield from _limits(document, where, each, seen)
    for name, each in schema.get("properties", {}).items():
        yield from _limits(document, f"{where}.{name}", each, seen)
    kind = schema.get("type")
    bounded = "enum" in schema or "const" in schema or schema.get("format") in _UNBOUNDED_FORMATS
    if kind == "string" and not bounded and "maxLength" not in schema:
        yield f"{where}: text without maxLength"
    if kind == "array":
        if "maxItems" not in schema and "items" in schema:
            yield f"{where}: a list without maxItems"
        yield from _limits(document, f"{where}[]", schema.get("items", {}), seen)
    if kind == "integer" and not bounded and not ({"maximum", "exclusiveMaximum"} & set(schema)):
        yield f"{where}: a number without maximum"


def _unused(document: Document) -> set[str]:
    schemas = document.get("components", {}).get("schemas", {})
    reached: set[str] = set()
    waiting = set(_references(document["paths"]))
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= set(_references(schemas.get(name, {}))) - reached
    return set(schemas) - reached


def _references(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)
