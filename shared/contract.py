"""The contract of Sluice's topics as files: a JSON Schema for each event version, and one AsyncAPI document.

`python -m shared.contract` writes them to `shared/schemas/`. It rejects a change that would break a reader or a writer
of an existing version: such a change needs a new version of the event.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

from pydantic import TypeAdapter

from shared import events
from shared.asyncapi import asyncapi_document
from shared.codec import TOMBSTONES, schema_file, schema_id
from shared.events import values
from shared.topics import TOPIC_OF

FOLDER = Path(__file__).parent / "schemas"
Schema = dict[str, Any]

_VALUES: dict[str, type] = {
    name: each for name, each in vars(values).items() if isinstance(each, type) and is_dataclass(each)
}
_WORDING = frozenset({"description", "title", "$id", "$schema"})


def event_schema(event: type[events.Event]) -> Schema:
    """Return the JSON Schema (draft 2020-12) of an event's value on the wire."""
    schema = TypeAdapter(event).json_schema()
    _describe(schema, event)
    for name, definition in schema.get("$defs", {}).items():
        _describe(definition, _VALUES[name])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": schema_id(event), **schema}


def documents() -> dict[str, Schema]:
    """Return every file of the contract by its name."""
    return {schema_file(event): event_schema(event) for event in TOPIC_OF if event not in TOMBSTONES} | {
        "asyncapi.json": asyncapi_document()
    }


def format_document(document: Schema) -> str:
    """Return the text of a document's file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def find_breaks(old: Any, new: Any, path: str = "$") -> Iterator[str]:
    """Yield each difference between two schemas that breaks a reader or writer of the old one.

    Optional additions and changes of wording are no breaks.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            if name in _WORDING:
                continue
            if name == "required":
                yield from (f"{path}: {each} was optional" for each in sorted({*new.get(name, [])} - {*value}))
                yield from (f"{path}: {each} was required" for each in sorted({*value} - {*new.get(name, [])}))
            elif name not in new:
                yield f"{path}: {name} was removed"
            else:
                yield from find_breaks(value, new[name], f"{path}.{name}")
        yield from _find_additions(old, new, path)
    elif old != new:
        yield f"{path}: changed from {json.dumps(old)} to {json.dumps(new)}"


def write(folder: Path = FOLDER) -> list[str]:
    """Write the files, or return the breaking changes for which nothing was written."""
    breaks = []
    for name, document in documents().items():
        file = folder / name
        if file.exists() and name.endswith(".schema.json"):
            old = json.loads(file.read_text(encoding="utf-8"))
            breaks += [f"{name} {each}" for each in find_breaks(old, document)]
    if not breaks:
        folder.mkdir(exist_ok=True)
        for name, document in documents().items():
            (folder / name).write_text(format_document(document), encoding="utf-8")
    return breaks


def _find_additions(old: Schema, new: Schema, path: str) -> Iterator[str]:
    added = set(new) - set(old) - {"description", "title", "default", "$defs"}
    if not path.endswith((".properties", ".$defs")):
        yield from (f"{path}: {name} was added" for name in sorted(added))


def _describe(schema: Schema, cls: type) -> None:
    """Put the docstrings of a dataclass and of its fields into its schema: pydantic skips those of inherited fields."""
    schema["description"] = "\n\n".join(" ".join(each.split()) for each in schema["description"].split("\n\n"))
    for base in cls.__mro__[:-1]:
        for name, description in _field_docstrings(base):
            schema["properties"][name]["description"] = description


def _field_docstrings(cls: type) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    for statements in pairwise(definition.body):
        match statements:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                yield name, " ".join(docstring.split())


if __name__ == "__main__":
    if found := write():
        sys.exit("\n".join(["A breaking change; add a new version of the event instead:", *found]))
