"""Applies declared jobs: creates those that do not exist, changes those that differ, leaves the others alone."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluice.api import Api, Json
from sluice.errors import SluiceError


@dataclass(frozen=True, slots=True)
class JobDeclaration:
    """A job as declared in a file: those fields of the API's job that the file mentions."""

    title: str
    fields: Json


def read_document(file: Path) -> Any:
    """Return the content of a .json or .toml file. Raises SluiceError, with the file's name, for a bad file."""
    try:
        if file.suffix == ".toml":
            # TOML has date-times of its own; the API expects strings.
            return json.loads(json.dumps(tomllib.loads(file.read_text(encoding="utf-8")), default=_format_instant))
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise SluiceError(f"{file} cannot be read: {error}") from None


def read_declarations(file: Path) -> list[JobDeclaration]:
    """Return the jobs that a .json or .toml file declares. Raises SluiceError, with the file's name, for a bad file."""
    document = read_document(file)
    if isinstance(document, dict):
        document = document.get("jobs", [] if "destinations" in document else [document])
    if not isinstance(document, list):
        raise SluiceError(f"{file}: `jobs` must be a list.")
    for job in document:
        if not isinstance(job, dict) or not isinstance(job.get("title"), str) or not job["title"].strip():
            raise SluiceError(f"{file}: every job needs a `title`, by which it is found again.")
    return [JobDeclaration(job["title"].strip(), job) for job in document]


def apply_job(api: Api, declaration: JobDeclaration, existing: Sequence[Json], *, dry_run: bool) -> str:
    """Create or change a job, and return what was done in words.

    Raises SluiceError when the title is ambiguous, the job cannot be edited, or the API rejects the declaration.
    """
    found = [job for job in existing if job["title"] == declaration.title]
    if len(found) > 1:
        raise SluiceError("Several jobs have this title; rename or delete all but one.")
    if not found:
        if not dry_run:
            api.post("/jobs", declaration.fields)
        return "created"
    job = found[0]
    changes = find_changes(declaration.fields, job)
    if not changes:
        return "unchanged"
    if reason := job["refusals"].get("edit"):
        raise SluiceError(f"{', '.join(sorted(changes))} would change, but: {reason}")
    if not dry_run:
        api.patch(f"/jobs/{job['id']}", changes, etag=f'"{job["version"]}"')
    return f"changed ({', '.join(sorted(changes))})"


def find_changes(declared: Json, job: Json) -> Json:
    """Return the declared fields that differ from the job's; instants are compared, not their notation."""
    changes: Json = {}
    for name, wanted in declared.items():
        current = job.get(name)
        if name != "title" and not _is_as_declared(wanted, current):
            changes[name] = wanted
    return changes


def _is_as_declared(wanted: object, current: object) -> bool:
    """Return whether a value is what a file declares; fields of objects that the file does not mention do not count."""
    if isinstance(wanted, dict) and isinstance(current, dict):
        return all(_is_as_declared(value, current.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(current, list):
        return len(wanted) == len(current) and all(map(_is_as_declared, wanted, current))
    return _normalize(wanted) == _normalize(current)


def _normalize(value: object) -> object:
    """Return a value in a form in which equal instants are equal."""
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return value
        return instant.astimezone(UTC) if instant.tzinfo else value
    return value


def _format_instant(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} is not a value of a job")
