"""The threats in docs/SECURITY.md: each row names a test, and every test that the page names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+\.py(?:::\w+)?)`", PAGE)))
THREATS = [
    line.strip("|").split("|")
    for line in PAGE.partition("## Threats\n")[2].partition("\n## ")[0].splitlines()
    if line.startswith("|")
][2:]


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_the_page_names_exists(named: str) -> None:
    path, _, function = named.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert function in functions if function else any(each.startswith("test_") for each in functions)


def test_every_threat_names_a_test() -> None:
    assert len(THREATS) > 10
    for row in THREATS:
        assert len(row) == 5
        assert re.search(r"`tests/[\w/.]+\.py", row[4]), row
