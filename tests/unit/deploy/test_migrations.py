"""Migrations only add: processes of the previous release work with the new schema, and a rollback needs no step."""

import re
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[3] / "services"
MIGRATIONS = sorted(SERVICES.glob("*/*/sql/migrations/*.*"))
# Replaced, renamed or dropped a table or column before the first release.
UNRELEASED = {
    "0002_scheduler_past",
    "0003_scheduler_schedule_history",
    "0007_job_api_idempotency_keys",
    "0012_job_api_names",
    "0007_history_audit_events",
}
# Dropping an index or a constraint, or making a column nullable, does not affect older processes.
BREAKS = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|SCHEMA|TYPE)\b|\bRENAME\s+(COLUMN\b|TO\b)|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b"
    r"|\bALTER\s+COLUMN\s+\w+\s+SET\s+NOT\s+NULL\b"
)
NEEDED = re.compile(r"\bADD\s+COLUMN\s+[^,;]*\bNOT\s+NULL\b[^,;]*")


def find_breaks(sql: str) -> list[str]:
    """Return the statements that would break processes of the previous release."""
    applied = re.sub(r"--[^\n]*|ALTER\s+INDEX\s[^;]*;", "", re.split("-- migrate: rollback|async def rollback", sql)[0])
    needed = [found for found in NEEDED.findall(applied) if "DEFAULT" not in found and "GENERATED" not in found]
    return [match[0] for match in BREAKS.finditer(applied)] + needed


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_removes_nothing(path: Path) -> None:
    assert bool(find_breaks(path.read_text(encoding="utf-8"))) is (path.stem in UNRELEASED)


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
def test_a_removal_is_detected(wrong: str) -> None:
    assert len(find_breaks(wrong)) == 1
    assert find_breaks(f"SELECT 1;\n-- migrate: rollback\n{wrong}") == []
