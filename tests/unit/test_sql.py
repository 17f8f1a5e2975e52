"""Named queries: each service's SQL can be read, and each block is used."""

import re
from pathlib import Path

import pytest

from shared.postgres import load_queries, parse_queries

ROOT = Path(__file__).parents[2] / "services"
PACKAGES = {"job_api": "job-api", "scheduler": "scheduler", "exporter": "exporter", "history": "history"}


def test_blocks_are_found_by_name_and_a_name_is_used_once() -> None:
    text = "-- a: first\nSELECT 1;\n-- a comment within\n\n-- b: second\nSELECT 2;\n"
    assert parse_queries(text) == {"a": "SELECT 1;\n-- a comment within", "b": "SELECT 2;"}
    with pytest.raises(ValueError, match="query a is defined twice"):
        parse_queries(text + "-- a: again\nSELECT 3;\n")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_query_is_used_and_every_used_query_is_there(package: str) -> None:
    named = set(load_queries(package))
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / PACKAGES[package] / package).rglob("*.py"))
    used = set(re.findall(r'(?:SQL|_SQL|sql)\["([a-z0-9_]+)"\]', code))
    assert used - named == set(), "used, but not in queries.sql"
    # Some are run by name, in an order that a list gives.
    assert named - set(re.findall(r'"([a-z0-9_]+)"', code)) == set(), "in queries.sql, but not used"
