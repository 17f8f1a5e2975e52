"""Migrations only add: processes of the release before go on with the new schema, and a rollback needs no step back."""

import re
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[3] / "services"
MIGRATIONS = sorted(SERVICES.glob("*/*/sql/migrations/*.sql"))
# Replaced or renamed a table before there was a release whose processes could miss it.
UNRELEASED = {"0002_scheduler_past", "0003_scheduler_schedule_history"}
# Dropping an index or a constraint, or letting a column be empty, takes nothing from those who do not know of it.
TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|SCHEMA|TYPE)\b|\bRENAME\s+(COLUMN\b|TO\b)|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b"
    r"|\bALTER\s+COLUMN\s+\w+\s+SET\s+NOT\s+NULL\b"
)
NEEDED = re.compile(r"\bADD\s+COLUMN\s+[^,;]*\bNOT\s+NULL\b[^,;]*")


def wrongs(sql: str) -> list[str]:
    """Return what processes of the release before would miss, or would have to know of."""
    applied = re.sub(r"--[^\n]*|ALTER\s+INDEX\s[^;]*;", "", sql.partition("-- migrate: rollback")[0])
    needed = [found for found in NEEDED.findall(applied) if "DEFAULT" not in found and "GENERATED" not in found]
    return [match[0] for match in TAKES_AWAY.finditer(applied)] + needed


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_takes_nothing_away(path: Path) -> None:
    assert bool(wrongs(path.read_text(encoding="utf-8"))) is (path.stem in UNRELEASED)


@pytest.mark.parametrize(
    "wrong",
    [
        "ALTER TABLE run DROP COLUMN title;",
        "DROP TABLE run;",
        "ALTER TABLE run RENAME COLUMN a TO b;",
        "ALTER TABLE run RENAME TO runs;",
        "ALTER TABLE run ALTER COLUMN a TYPE bigint;",
        "ALTER TABLE run ADD COLUMN a int NOT NULL;",
    ],
)
def test_what_takes_away_would_be_seen(wrong: str) -> None:
    assert len(wrongs(wrong)) == 1
    assert wrongs(f"SELECT 1;\n-- migrate: rollback\n{wrong}") == []
