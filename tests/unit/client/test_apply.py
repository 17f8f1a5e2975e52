"""Which declared fields differ from a job's, and which files are valid declarations."""

from pathlib import Path

import pytest

from sluice.apply import find_changes, read_declarations
from sluice.errors import SluiceError

JOB = {
    "title": "Nightly",
    "media_types": ["email", "chat"],
    "split_size": None,
    "schedule": {"kind": "daily", "every": 1, "immediately": False, "start": "2036-01-01T01:00:00Z"},
    "filter": [{"column": "startDate", "operator": "range", "values": ["2026-01-01T00:00:00Z", None], "path": []}],
}
FROM_2026 = {"column": "startDate", "operator": "range", "values": ["2026-01-01T01:00:00+01:00", None]}


@pytest.mark.parametrize(
    ("declared", "changes"),
    [
        ({}, {}),
        ({"schedule": {"kind": "daily", "start": "2036-01-01T02:00:00+01:00"}}, {}),
        ({"media_types": ["email", "chat"], "split_size": None}, {}),
        ({"media_types": ["chat"]}, {"media_types": ["chat"]}),
        ({"split_size": 1048576}, {"split_size": 1048576}),
        ({"schedule": {"kind": "weekly"}}, {"schedule": {"kind": "weekly"}}),
        ({"unknown": 1}, {"unknown": 1}),
        ({"filter": [FROM_2026]}, {}),
        ({"filter": []}, {"filter": []}),
        ({"filter": [FROM_2026 | {"column": "endDate"}]}, {"filter": [FROM_2026 | {"column": "endDate"}]}),
    ],
)
def test_only_differences_are_changes(declared: dict[str, object], changes: dict[str, object]) -> None:
    assert find_changes({"title": "Nightly", **declared}, JOB) == changes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("a.json", '"text"'),
        ("a.json", '{"jobs": {}}'),
        ("a.json", '{"description": "no title"}'),
        ("a.toml", "title = "),
        ("a.toml", 'title = "t"\nstart = 10:00:00'),
    ],
)
def test_an_invalid_file_is_rejected_with_its_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SluiceError, match=name):
        read_declarations(tmp_path / name)


def test_date_times_of_toml_become_strings(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('title = " t "\n[schedule]\nkind = "daily"\nstart = 2036-01-01T02:00:00+01:00\n')
    (declared,) = read_declarations(tmp_path / "a.toml")
    assert (declared.title, declared.fields["schedule"]["start"]) == ("t", "2036-01-01T02:00:00+01:00")
