"""Brings jobs to what files declare: made when they are not there, changed when they differ, else left alone."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluice.api import Api, Json
from sluice.errors import SluiceError

_NESTED = ("schedule", "timeframe")


@dataclass(frozen=True, slots=True)
class Declared:
    """A job as a file declares it: the fields of the API's draft that the file mentions."""

    title: str
    fields: Json


def read_declarations(file: Path) -> list[Declared]:
    """Return the jobs that a .json or .toml file declares. Raises SluiceError with the file's name."""
    try:
        if file.suffix == ".toml":
            # TOML has instants of its own; the API takes text.
            document: Any = json.loads(json.dumps(tomllib.loads(file.read_text(encoding="utf-8")), default=_instant))
        else:
            document = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise SluiceError(f"{file} cannot be read: {error}") from None
    if isinstance(document, dict):
        document = document.get("jobs", [document])
    if not isinstance(document, list):
        raise SluiceError(f"{file}: `jobs` must be a list.")
    for job in document:
        if not isinstance(job, dict) or not isinstance(job.get("title"), str) or not job["title"].strip():
            raise SluiceError(f"{file}: every job needs a `title`; that is how it is found again.")
    return [Declared(job["title"].strip(), job) for job in document]


def apply_job(api: Api, declared: Declared, existing: Sequence[Json], *, dry_run: bool) -> str:
    """Make or change one job, and say what was done. Raises SluiceError."""
    found = [job for job in existing if job["title"] == declared.title]
    if len(found) > 1:
        raise SluiceError("Several jobs bear this title; rename or delete all but one.")
    if not found:
        if not dry_run:
            api.post("/jobs", declared.fields)
        return "made"
    job = found[0]
    changes = differences(declared.fields, job)
    if not changes:
        return "unchanged"
    if why := job["refusals"].get("edit"):
        raise SluiceError(f"{', '.join(sorted(changes))} would change, but: {why}")
    if not dry_run:
        api.patch(f"/jobs/{job['id']}", changes, etag=f'"{job["version"]}"')
    return f"changed ({', '.join(sorted(changes))})"


def differences(declared: Json, job: Json) -> Json:
    """Return what of the declared fields a job has otherwise; instants are compared, not their spelling."""
    changes: Json = {}
    for name, wanted in declared.items():
        has = job.get(name)
        if name in _NESTED and isinstance(wanted, dict) and isinstance(has, dict):
            if any(_plain(has.get(inner)) != _plain(value) for inner, value in wanted.items()):
                changes[name] = wanted
        elif name == "title":
            continue
        elif _plain(has) != _plain(wanted):
            changes[name] = wanted
    return changes


def _plain(value: object) -> object:
    """Return a value in the form in which equal ones are equal."""
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return value
        return instant.astimezone(UTC) if instant.tzinfo else value
    return value


def _instant(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in a job")
