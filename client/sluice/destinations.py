"""Applies declared destinations, and lets declared jobs name destinations instead of their ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sluice.api import Api, Json
from sluice.apply import read_document
from sluice.errors import SluiceError

_COMPARED = ("state", "address")


@dataclass(frozen=True, slots=True)
class DestinationDeclaration:
    """A destination as declared in a file: its fields without credentials, and these, which were read from files."""

    name: str
    fields: Json
    credentials: Mapping[str, str] = field(repr=False)


def read_destinations(file: Path) -> list[DestinationDeclaration]:
    """Return the destinations that a .json or .toml file declares. Raises SluiceError for a bad file."""
    document = read_document(file)
    declared = document.get("destinations", []) if isinstance(document, dict) else []
    if not isinstance(declared, list):
        raise SluiceError(f"{file}: `destinations` must be a list.")
    return [_parse_destination(file, each) for each in declared]


def apply_destination(api: Api, declaration: DestinationDeclaration, existing: Sequence[Json], *, dry_run: bool) -> str:
    """Create or change a destination, and return what was done in words. Raises SluiceError if the API refuses it.

    Credentials cannot be read, so they are sent with a new or a changed address only.
    """
    found = next((each for each in existing if each["name"] == declaration.name), None)
    credentials = {"credentials": dict(declaration.credentials)} if declaration.credentials else {}
    if found is None:
        if not dry_run:
            api.post("/destinations", {"name": declaration.name, **declaration.fields, **credentials})
        return "created"
    if declaration.fields.get("kind", found["kind"]) != found["kind"]:
        raise SluiceError(f"Its kind is {found['kind']}, which cannot be changed: delete it, or choose another name.")
    changes = {name: declaration.fields[name] for name in _COMPARED if _differs(declaration.fields, found, name)}
    if not changes:
        return "unchanged"
    if not dry_run:
        body = changes | (credentials if "address" in changes else {})
        api.patch(f"/destinations/{found['id']}", body, etag=f'"{found["version"]}"')
    return f"changed ({', '.join(sorted(changes))})"


def resolve_destinations(fields: Json, ids: Mapping[str, str]) -> Json:
    """Return the fields of a job with the ids of the destinations that it names. Raises SluiceError for others."""
    delivery = fields.get("delivery")
    if not isinstance(delivery, dict) or not isinstance(delivery.get("destinations"), list):
        return fields
    found = [ids.get(str(each)) or _require_id(str(each)) for each in delivery["destinations"]]
    return {**fields, "delivery": {**delivery, "destinations": found}}


def _require_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise SluiceError(f"There is no destination named '{text}': declare it, or create it first.") from None


def _parse_destination(file: Path, declared: object) -> DestinationDeclaration:
    if not isinstance(declared, dict) or not isinstance(declared.get("name"), str) or not declared["name"].strip():
        raise SluiceError(f"{file}: every destination needs a `name`, by which it is found again.")
    name, sources = declared["name"].strip(), declared.get("credentials", {})
    fields = {key: value for key, value in declared.items() if key not in {"name", "credentials"}}
    if not isinstance(sources, dict):
        raise SluiceError(f"{file}: the `credentials` of {name} must be a table.")
    return DestinationDeclaration(name, fields, {key: _read_secret(file, key, each) for key, each in sources.items()})


def _read_secret(file: Path, name: str, source: object) -> str:
    """Return a credential from the file that a declaration names, relative to its own."""
    if not isinstance(source, dict) or list(source) != ["file"] or not isinstance(source["file"], str):
        raise SluiceError(
            f'{file}: give credentials as files, so that no secret is declared: {name} = {{ file = "..." }}'
        )
    path = file.parent / source["file"]
    try:
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SluiceError(f"{path} cannot be read ({type(error).__name__}).") from None


def _differs(declared: Json, found: Json, name: str) -> bool:
    wanted, current = declared.get(name), found[name]
    if wanted is None:
        return False
    if isinstance(wanted, dict):
        return any(_trim(current.get(each)) != _trim(value) for each, value in wanted.items())
    return bool(wanted != current)


def _trim(value: object) -> object:
    """Return a value as the API stores it: folders and addresses without a slash at their end, nothing as null."""
    return (value.rstrip("/") or value[:1] or None) if isinstance(value, str) else value
