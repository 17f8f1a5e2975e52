"""I1: both HTTP services speak one dialect: what has the same name means the same, at either of them."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from history.openapi import build_document as build_history_document
from job_api.app import create_web_app
from job_api.openapi import build_document
from shared.clock import SystemClock
from shared.http.openapi_files import FOLDER, read_document, to_text
from shared.lifecycle import Health

Document = dict[str, Any]
SERVICES = ("job-api", "history")
# The committed documents, of which one test proves that they are those that are served.
COMMITTED: dict[str, Document] = {name: read_document(name) for name in (*SERVICES, "sluice")}
# Names that retired with the dialect, as parameters or as fields.
RETIRED_PARAMETERS = {"q", "since", "before", "longer_than", "with_files", "job", "run"}
RETIRED_FIELDS = {"eta_seconds", "eta_low", "eta_high", "share"}
# A name whose schema differs from list to list by what is in the list.
BY_LIST = {"sort", "state", "status", "type", "name", "role"}


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def parameters(document: Document) -> Iterator[tuple[str, Document]]:
    for where, operation in operations(document):
        for parameter in operation.get("parameters", []):
            yield where, parameter


def shape(schema: Any) -> Any:
    """A schema without what only explains it."""
    if isinstance(schema, dict):
        explaining = {"description", "title", "examples", "example", "default"}
        return {key: shape(value) for key, value in schema.items() if key not in explaining}
    return [shape(each) for each in schema] if isinstance(schema, list) else schema


def properties(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield name, value
        for value in schema.values():
            yield from properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value)


@pytest.fixture(scope="module")
def served() -> dict[str, Document]:
    app = create_web_app(None, clock=SystemClock(), health=Health())  # type: ignore[arg-type]  # no route is called
    return {"job-api": app.openapi(), "history": build_history_document(), "sluice": build_document(app)}


@pytest.mark.parametrize("name", COMMITTED)
def test_the_committed_document_is_the_one_that_is_served(name: str, served: dict[str, Document]) -> None:
    committed = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert committed == to_text(json.loads(json.dumps(served[name]))), "run make schemas"


def test_the_document_of_the_installation_is_valid_and_has_every_operation() -> None:
    OpenAPIV31SpecValidator(COMMITTED["sluice"]).validate()
    every = {operation["operationId"] for _, operation in operations(COMMITTED["sluice"])}
    assert every == {operation["operationId"] for name in SERVICES for _, operation in operations(COMMITTED[name])}


def test_parameters_of_one_name_have_one_schema() -> None:
    schemas: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in SERVICES:
        for where, parameter in parameters(COMMITTED[name]):
            if parameter["name"] not in BY_LIST:
                key = json.dumps(shape(parameter["schema"]), sort_keys=True)
                schemas[parameter["in"], parameter["name"]][key].append(f"{name} {where}")
    assert {name: dict(found) for name, found in schemas.items() if len(found) > 1} == {}


def test_headers_of_one_name_have_one_schema() -> None:
    schemas: dict[str, set[str]] = defaultdict(set)
    for name in SERVICES:
        for _, operation in operations(COMMITTED[name]):
            for response in operation["responses"].values():
                for header, described in response.get("headers", {}).items():
                    schemas[header].add(json.dumps(described, sort_keys=True))
    assert {name for name, found in schemas.items() if len(found) > 1} == set()


def test_components_of_one_name_are_one_schema() -> None:
    ours, theirs = (COMMITTED[name]["components"]["schemas"] for name in SERVICES)
    assert {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]} == set()


def test_instants_are_date_times_and_progress_and_estimate_have_one_form() -> None:
    forms: dict[str, set[str]] = defaultdict(set)
    for name in SERVICES:
        for field, schema in properties(COMMITTED[name]["components"]["schemas"]):
            text = json.dumps(shape(schema), sort_keys=True)
            if field.endswith("_at"):
                assert '"format": "date-time"' in text, (name, field, text)
            if field in {"progress", "estimate"}:
                forms[field].add(text)
    assert {name: found for name, found in forms.items() if len(found) != 1} == {}


@pytest.mark.parametrize("name", SERVICES)
def test_retired_names_are_gone(name: str) -> None:
    assert {parameter["name"] for _, parameter in parameters(COMMITTED[name])} & RETIRED_PARAMETERS == set()
    assert {field for field, _ in properties(COMMITTED[name]["components"]["schemas"])} & RETIRED_FIELDS == set()


@pytest.mark.parametrize("name", SERVICES)
def test_lists_filter_and_sort_by_the_names_of_the_dialect(name: str) -> None:
    for where, operation in operations(COMMITTED[name]):
        names = {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}
        if "cursor" in names:
            assert {"limit", "sort"} <= names.keys(), where
            assert names["sort"].get("enum"), f"{where} does not say what it sorts by"


def test_files_are_in_the_folder_and_nothing_else_is() -> None:
    assert {path.name for path in Path(FOLDER).iterdir()} == {f"{name}.json" for name in COMMITTED}
