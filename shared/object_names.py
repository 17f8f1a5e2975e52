"""The names of delivered objects: a template with placeholders, checked when a job is saved (rule D4).

A template is a path below the destination's prefix, such as `{job}/{slot}/{file}`. Whatever it says, the name stays
below the prefix, and objects of different runs have different names unless the job allows overwriting.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

PLACEHOLDERS: Mapping[str, str] = {
    "job": "the job's id",
    "title": "the job's title, with other characters than letters, digits, '.', '_' and '-' replaced by '-'",
    "run": "the run's id",
    "type": "interaction or contact",
    "slot": "the instant at which the run was due, as in 20261124T100000Z",
    "date": "the slot's day, as in 2026-11-24",
    "year": "the slot's year, four digits",
    "month": "the slot's month, two digits",
    "day": "the slot's day of the month, two digits",
    "hour": "the slot's hour, two digits, UTC",
    "file": "the file's name; only at the end",
}
"""Each placeholder and what replaces it, for documentation and pages."""

MAX_TEMPLATE_LENGTH = 300
MAX_NAME_BYTES = 1024
"""The longest object name that every provider accepts, in bytes of UTF-8, prefix included."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LITERAL = re.compile(r"[A-Za-z0-9._=/ -]*")
_UNSAFE_IN_TITLE = re.compile(r"[^\w.-]+")
_MAX_TITLE_LENGTH = 100


class InvalidTemplate(ValueError):
    """A template or prefix cannot be used; the message says why and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNames:
    """What the placeholders of one run stand for."""

    job_id: UUID
    run_id: UUID
    title: str
    type: str
    slot: datetime

    def to_values(self) -> dict[str, str]:
        """Return the value of each placeholder except `file`."""
        slot = self.slot.astimezone(UTC)
        return {
            "job": str(self.job_id),
            "title": make_safe(self.title),
            "run": str(self.run_id),
            "type": self.type,
            "slot": slot.strftime("%Y%m%dT%H%M%SZ"),
            "date": slot.strftime("%Y-%m-%d"),
            "year": slot.strftime("%Y"),
            "month": slot.strftime("%m"),
            "day": slot.strftime("%d"),
            "hour": slot.strftime("%H"),
        }


def make_safe(title: str) -> str:
    """Return a title as one segment of a path: never empty, no separator, no dots at its ends."""
    safe = _UNSAFE_IN_TITLE.sub("-", unicodedata.normalize("NFC", title))[:_MAX_TITLE_LENGTH].strip("-.")
    return safe or "untitled"


def check_template(template: str, *, overwrite: bool = False) -> None:
    """Check a template before it is saved. Raises InvalidTemplate for one that is not safe to use."""
    if not template or len(template) > MAX_TEMPLATE_LENGTH:
        raise InvalidTemplate(f"must have 1 to {MAX_TEMPLATE_LENGTH} characters")
    names = _PLACEHOLDER.findall(template)
    if unknown := next((name for name in names if name not in PLACEHOLDERS), None):
        raise InvalidTemplate(f"has an unknown placeholder {{{unknown[:40]}}}; known: {', '.join(PLACEHOLDERS)}")
    if not _LITERAL.fullmatch(_PLACEHOLDER.sub("", template)):
        raise InvalidTemplate("may contain placeholders, ASCII letters, digits, spaces, '.', '_', '=', '-' and '/'")
    if names.count("file") != 1 or not template.endswith("{file}"):
        raise InvalidTemplate("must end with {file}, and contain it once")
    _check_segments(template)
    if not overwrite and "run" not in names and not {"job", "slot"} <= set(names):
        raise InvalidTemplate(
            "must contain {run}, or {job} and {slot}: otherwise runs would have the same names for their manifests"
        )


def check_prefix(prefix: str) -> None:
    """Check a destination's prefix or folder below its root. Raises InvalidTemplate for one that leaves it."""
    if len(prefix.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES // 2:
        raise InvalidTemplate(f"must have at most {MAX_NAME_BYTES // 2} bytes")
    if any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in prefix) or "\\" in prefix:
        raise InvalidTemplate("must not contain control characters or backslashes")
    if prefix:
        _check_segments(prefix.removesuffix("/"))


def build_name(template: str, run: RunNames, file: str) -> str:
    """Return the name of an object below its destination's prefix.

    Raises InvalidTemplate when the template is not valid, or the name would leave the prefix or be too long.
    """
    check_template(template, overwrite=True)
    if not file or "/" in file:
        raise InvalidTemplate("the file's name must be a single segment")
    values = run.to_values() | {"file": file}
    name = _PLACEHOLDER.sub(lambda found: values[found[1]], template)
    _check_segments(name)
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidTemplate(f"makes names of more than {MAX_NAME_BYTES} bytes")
    return name


def _check_segments(path: str) -> None:
    if path.startswith("/"):
        raise InvalidTemplate("must not begin with '/': it is a path below the destination's prefix")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise InvalidTemplate("must not contain empty segments, '.' or '..': they would leave the prefix")
        if segment != segment.strip(" ") or segment.endswith("."):
            raise InvalidTemplate("must not have segments that begin or end with a space, or end with a dot")
