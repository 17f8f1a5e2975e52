"""Files as the list shows them: the parts of a set in one row (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from job_api.pages.runs.descriptions import KINDS

_SOON = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One file, or a set of them; `ids` are those on this page that are still there, sizes are of the whole set."""

    run_id: str
    job_id: str
    kind: str
    title: str
    name: str
    is_set: bool
    ids: tuple[str, ...]
    files: int
    available: int
    rows: int
    size: int
    created_at: datetime
    days: int
    of_days: int
    state: str
    downloads: int
    sha256: str | None

    @property
    def key(self) -> str:
        """Return the set's name in forms."""
        return f"{self.run_id}:{self.kind}"

    @property
    def kind_words(self) -> str:
        """Return what is in the files."""
        return KINDS.get(self.kind, self.kind)

    @property
    def soon(self) -> bool:
        """Return whether the files will be gone within days."""
        return self.state == "available" and self.days <= _SOON

    def whole(self, told: Mapping[str, Any]) -> Self:
        """Return the set with the sums over all of its files, wherever they are listed."""
        return replace(self, size=told["size"], rows=told["rows"])


def rows_of(
    items: Iterable[Mapping[str, Any]], *, each: bool = False, passed: frozenset[str] = frozenset()
) -> list[Row]:
    """Return the rows of files in their order; sets in `passed` were on the page before."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        single = each or item["set_files"] <= 1
        groups.setdefault(item["id"] if single else f"{item['run_id']}:{item['kind']}", []).append(item)
    return [_row(group, each=each) for key, group in groups.items() if key not in passed]


def unfinished(rows: Sequence[Row]) -> list[str]:
    """Return the names of sets that go on on the next page."""
    return [row.key for row in rows if row.is_set and len(row.ids) < row.available]


def _row(group: Sequence[Mapping[str, Any]], *, each: bool) -> Row:
    first = group[0]
    is_set = not each and first["set_files"] > 1
    there = [item for item in group if item["state"] == "available"]
    shown = there[0] if there else first
    return Row(
        run_id=first["run_id"],
        job_id=first["job_id"],
        kind=first["kind"],
        title=first["title"],
        name=_name_of(group) if is_set else first["name"],
        is_set=is_set,
        ids=tuple(item["id"] for item in there),
        files=first["set_files"] if is_set else 1,
        available=first["set_available"] if is_set else len(there),
        rows=sum(item["rows"] for item in group),
        size=sum(item["size"] for item in group),
        created_at=first["created_at"],
        days=shown["days_remaining"],
        of_days=max(1, round((first["expires_at"] - first["created_at"]).total_seconds() / 86400)),
        state=shown["state"],
        downloads=sum(item["downloads"] for item in group),
        sha256=None if is_set else first["sha256"],
    )


def _name_of(group: Sequence[Mapping[str, Any]]) -> str:
    """Return what the names of a set's files begin with."""
    begins, _, ends = str(group[0]["name"]).rpartition("-part-")
    return f"{begins}-part-….{ends.partition('.')[2]}" if begins else str(group[0]["name"])
