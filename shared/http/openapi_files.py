"""OpenAPI documents as files: one of each service, and one of all operations for the installation's public address."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "schemas" / "openapi"


def read_document(name: str) -> dict[str, Any]:
    """Return a committed document. Raises FileNotFoundError."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def write_document(name: str, document: dict[str, Any]) -> None:
    """Write a document to its file, for `make schemas`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(to_text(document), encoding="utf-8")


def to_text(document: dict[str, Any]) -> str:
    """Return a document as the text of its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def merge_documents(title: str, description: str, *documents: dict[str, Any]) -> dict[str, Any]:
    """Return one document with the operations of all. Raises ValueError when two define a name differently."""
    first, *_ = documents
    merged: dict[str, Any] = {
        "openapi": first["openapi"],
        "info": {**first["info"], "title": title, "description": description},
        "servers": first["servers"],
        "tags": [],
        "paths": {},
        "components": {},
    }
    for document in documents:
        merged["tags"] += [tag for tag in document.get("tags", []) if tag not in merged["tags"]]
        _add(merged["paths"], document["paths"], "path")
        for kind, components in document["components"].items():
            _add(merged["components"].setdefault(kind, {}), components, kind)
    merged["components"]["schemas"] = dict(sorted(merged["components"]["schemas"].items()))
    return merged


def _add(target: dict[str, Any], source: dict[str, Any], kind: str) -> None:
    for name, value in source.items():
        if target.setdefault(name, value) != value:
            raise ValueError(f"two documents define {kind} {name} differently")
