"""The operations guide says of every block of commands which test runs it, and those tests are there."""

import re

from tests.unit.deploy.documents import DEPLOY

GUIDE = (DEPLOY / "OPERATIONS.md").read_text(encoding="utf-8")
ROOT = DEPLOY.parent


def test_every_block_of_commands_says_what_runs_it() -> None:
    blocks = GUIDE.count("```sh\n")
    marked = re.findall(r"<!-- run by: (.+?) -->\n```sh\n", GUIDE)
    assert len(marked) == blocks > 5


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`?(tests/[\w/.]+\w)`?", GUIDE))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_its_own_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", GUIDE)) <= anchors
    for path in re.findall(r"\]\(([\w/.-]+)\)", GUIDE):
        assert (DEPLOY / path).exists(), path
