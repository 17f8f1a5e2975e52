"""Named queries: each service's SQL can be read, and each block is used."""

import re
from pathlib import Path

import pytest

from shared.queries import Statement, load_queries, parse_queries, parse_statement

ROOT = Path(__file__).parents[2] / "services"
PACKAGES = {"job_api": "job-api", "scheduler": "scheduler", "exporter": "exporter", "history": "history"}


def test_blocks_are_found_by_name_and_a_name_is_used_once() -> None:
    text = "-- a: first\nSELECT 1;\n-- a comment within\n\n-- b: second\nSELECT 2;\n"
    assert dict(parse_queries(text)) == {"a": "SELECT 1;\n-- a comment within", "b": "SELECT 2;"}
    with pytest.raises(ValueError, match="query a is defined twice"):
        parse_queries(text + "-- a: again\nSELECT 3;\n")


def test_named_parameters_become_positions_in_order_of_first_appearance() -> None:
    sql = parse_queries(
        "-- a: first\nSELECT * FROM run WHERE id = :run AND (:job::uuid IS NULL OR job = :job OR :run=id);"
    )
    text = "SELECT * FROM run WHERE id = $1 AND ($2::uuid IS NULL OR job = $2 OR $1=id);"
    assert sql.bind("a", job=7, run=8) == (text, 8, 7)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '{}'::jsonb, now()::date",
        "SELECT ':name', 'it''s :name', E'it\\'s :name'",
        'SELECT 1 AS ":name"',
        "SELECT 1 -- :name\n",
        "SELECT /* :name\n:other */ 1",
        "SELECT $$ :name $$, $body$ $$ :name $body$",
        "SELECT slices[1:2], slices[low:high], (slices)[f(1):high]",
        "SELECT $1::text[], $2",
        "DO $$ BEGIN found := true; END $$",
    ],
)
def test_casts_quoted_text_comments_and_slices_hold_no_parameters(text: str) -> None:
    assert parse_statement(text) == Statement(text, ())


def test_a_parameter_may_stand_between_what_holds_none() -> None:
    statement = parse_statement("SELECT '{:a}'::jsonb->:key, :_b1::text || ':c' -- :d\n, \":e\" = ANY(:key)")
    assert statement == Statement(
        "SELECT '{:a}'::jsonb->$1, $2::text || ':c' -- :d\n, \":e\" = ANY($1)", ("key", "_b1")
    )


def test_named_parameters_are_given_by_name_and_all_of_them() -> None:
    sql = parse_queries("-- a: first\nSELECT :low, :high;\n-- b: second\nSELECT 1;\n")
    assert sql.bind("b") == ("SELECT 1;",)
    with pytest.raises(TypeError, match="query a needs a value for :high"):
        sql.bind("a", low=1)
    with pytest.raises(TypeError, match="query a has no parameter :limit"):
        sql.bind("a", low=1, high=2, limit=3)
    with pytest.raises(TypeError, match="query a has named parameters"):
        sql["a"]
    with pytest.raises(KeyError):
        sql.bind("c")


def test_a_block_has_one_kind_of_parameters() -> None:
    with pytest.raises(ValueError, match="query a: it has both positional and named parameters"):
        parse_queries("-- a: first\nSELECT $1, :name;\n")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_query_is_used_and_every_used_query_is_there(package: str) -> None:
    named = set(load_queries(package))
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / PACKAGES[package] / package).rglob("*.py"))
    used = set(re.findall(r'(?:SQL|_SQL|sql)(?:\[|\.bind\()\s*"([a-z0-9_]+)"', code))
    assert used - named == set(), "used, but not in queries.sql"
    # Some are run by name, in an order that a list gives.
    assert named - set(re.findall(r'"([a-z0-9_]+)"', code)) == set(), "in queries.sql, but not used"
