"""Files as rows of a list: the parts of a set share a row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from job_api.pages.kit.labels import FILE_KIND_LABELS

_EXPIRES_SOON_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file, or the set of a run's files of one kind.

    `ids` are the available files on this page; `available`, `size` (bytes) and `rows` cover the whole set.
    """

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
    days_remaining: int
    retention_days: int
    state: str
    downloads: int
    sha256: str | None

    @property
    def key(self) -> str:
        """What identifies the set in forms."""
        return f"{self.run_id}:{self.kind}"

    @property
    def kind_label(self) -> str:
        """What the files contain."""
        return FILE_KIND_LABELS.get(self.kind, self.kind)

    @property
    def expires_soon(self) -> bool:
        """Whether the files expire within 3 days."""
        return self.state == "available" and self.days_remaining <= _EXPIRES_SOON_DAYS

    @property
    def is_partial(self) -> bool:
        """Whether some available files of the set are on other pages of the list."""
        return self.is_set and len(self.ids) < self.available

    def with_totals(self, totals: Mapping[str, Any]) -> Self:
        """Return the set with the size and rows of all of its files, on whichever page they are listed."""
        return replace(self, size=totals["size"], rows=totals["rows"])


def group_files(
    items: Iterable[Mapping[str, Any]], *, each_file: bool = False, shown_sets: frozenset[str] = frozenset()
) -> list[FileRow]:
    """Return rows for history's files, in their order: one for each set, or with `each_file` one for each file.

    The sets in `shown_sets` (keys) are left out, as the page before has shown them.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        is_single = each_file or item["set_files"] <= 1
        groups.setdefault(item["id"] if is_single else f"{item['run_id']}:{item['kind']}", []).append(item)
    return [_to_row(group, each_file=each_file) for key, group in groups.items() if key not in shown_sets]


def _to_row(group: Sequence[Mapping[str, Any]], *, each_file: bool) -> FileRow:
    first = group[0]
    is_set = not each_file and first["set_files"] > 1
    available = [item for item in group if item["state"] == "available"]
    shown = available[0] if available else first
    return FileRow(
        run_id=first["run_id"],
        job_id=first["job_id"],
        kind=first["kind"],
        title=first["title"],
        name=_set_name(group) if is_set else first["name"],
        is_set=is_set,
        ids=tuple(item["id"] for item in available),
        files=first["set_files"] if is_set else 1,
        available=first["set_available"] if is_set else len(available),
        rows=sum(item["rows"] for item in group),
        size=sum(item["size"] for item in group),
        created_at=first["created_at"],
        days_remaining=shown["days_remaining"],
        retention_days=max(1, round((first["expires_at"] - first["created_at"]).total_seconds() / 86400)),
        state=shown["state"],
        downloads=sum(item["downloads"] for item in group),
        sha256=None if is_set else first["sha256"],
    )


def _set_name(group: Sequence[Mapping[str, Any]]) -> str:
    """Return the common name of a set's files, with an ellipsis in place of the number."""
    begins, _, ends = str(group[0]["name"]).rpartition("-part-")
    return f"{begins}-part-….{ends.partition('.')[2]}" if begins else str(group[0]["name"])
