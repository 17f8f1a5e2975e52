"""The contract of Sluice's topics as files: a JSON Schema an event version, and one AsyncAPI document.

`python -m shared.contract` writes them into `shared/schemas/` and refuses a change that would break a reader or a
writer of a version that exists: make a new version instead.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from shared import events
from shared.codec import NAME_OF
from shared.topics import TOPIC_OF, TOPICS

FOLDER = Path(__file__).parent / "schemas"
Schema = dict[str, Any]


def schema_file(event: type[events.Event]) -> str:
    """Return the file name of an event's schema, which holds its name and version."""
    name, version = NAME_OF[event]
    return f"{name}.v{version}.schema.json"


def event_schema(event: type[events.Event]) -> Schema:
    """Return the JSON Schema (draft 2020-12) of an event's value on the wire."""
    schema = TypeAdapter(event).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": schema_file(event), **schema}


def asyncapi() -> Schema:
    """Return the AsyncAPI 3.0 document of all topics."""
    channels = {
        topic.name: {
            "address": topic.name,
            "description": f"{topic.description}; key: {topic.key}; kept: {topic.retention or 'compacted'}",
            "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in topic.events},
        }
        for topic in TOPICS
    }
    operations = {
        f"{service}.{action}.{topic.name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic.name}"},
            "summary": f"{service} {verb} {topic.name}",
        }
        for topic in TOPICS
        for action, verb, services in (
            ("send", "writes to", topic.producers),
            ("receive", "reads", topic.consumers),
        )
        for service in services
    }
    messages = {
        event.__name__: {
            "name": f"sluice.{name}.v{version}",
            "contentType": "application/json",
            "summary": (event.__doc__ or "").strip().splitlines()[0],
            "payload": {"$ref": schema_file(event)},
        }
        for event, (name, version) in NAME_OF.items()
    }
    info = {"title": "Sluice's topics", "version": "1", "description": "Generated from shared/topics.py."}
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents() -> dict[str, Schema]:
    """Return every file of the contract by its name."""
    return {schema_file(event): event_schema(event) for event in TOPIC_OF} | {"asyncapi.json": asyncapi()}


def text_of(document: Schema) -> str:
    """Return a document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def breaks(old: Any, new: Any, path: str = "$") -> Iterator[str]:
    """Yield what in `new` breaks those who know `old`: only optional additions, and other words, are no break."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            if name in {"description", "title", "$id", "$schema"}:
                continue
            if name == "required":
                yield from (f"{path}: {each} was not required" for each in sorted({*new.get(name, [])} - {*value}))
                yield from (f"{path}: {each} was always there" for each in sorted({*value} - {*new.get(name, [])}))
            elif name not in new:
                yield f"{path}: {name} is gone"
            else:
                yield from breaks(value, new[name], f"{path}.{name}")
        yield from _additions(old, new, path)
    elif old != new:
        yield f"{path}: was {json.dumps(old)}, is {json.dumps(new)}"


def _additions(old: Schema, new: Schema, path: str) -> Iterator[str]:
    added = set(new) - set(old) - {"description", "title", "default", "$defs"}
    if path.endswith((".properties", ".$defs")):
        return
    yield from (f"{path}: {name} is new" for name in sorted(added))


def write(folder: Path = FOLDER) -> list[str]:
    """Write the files; return the faults for which nothing was written."""
    faults = []
    for name, document in documents().items():
        file = folder / name
        if file.exists() and name.endswith(".schema.json"):
            faults += [f"{name} {fault}" for fault in breaks(json.loads(file.read_text(encoding="utf-8")), document)]
    if not faults:
        folder.mkdir(exist_ok=True)
        for name, document in documents().items():
            (folder / name).write_text(text_of(document), encoding="utf-8")
    return faults


if __name__ == "__main__":
    if found := write():
        sys.exit("\n".join(["This would break what a version promises; add a new version of the event:", *found]))
