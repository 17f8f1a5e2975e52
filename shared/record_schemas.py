"""The JSON Schemas of exported records (rule E4)."""

from pathlib import Path
from typing import Literal, get_args

RecordType = Literal["interaction", "interaction-attachment", "contact"]
RECORD_TYPES: tuple[RecordType, ...] = get_args(RecordType)
FOLDER = Path(__file__).parent / "schemas" / "records"
LATEST = 1
"""The newest version; a run's manifest names the version of its files as `schema_version`."""


def schema_file(record_type: str, version: int = LATEST) -> str:
    """Return the name of a schema's file in FOLDER."""
    return f"{record_type}.v{version}.schema.json"


def read_record_schema(record_type: RecordType, version: int = LATEST) -> str:
    """Return a schema as JSON text. Raises FileNotFoundError for a version that does not exist."""
    return (FOLDER / schema_file(record_type, version)).read_text(encoding="utf-8")
