"""What the pages of documentation name exists: links and anchors, make targets, programs, settings, metrics, rules."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.metrics_page import collect_metrics
from tests.unit.deploy.service_settings import known_variables

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "shared", "services", "client", "deploy", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
# Variables of other programs than the services: the command, the tests, compose, the local stack's downloads.
ELSEWHERE = {"SLUICE_URL", "SLUICE_TOKEN", "SLUICE_TOKEN_FILE", "SLUICE_TEST_KAFKA", "SLUICE_TEST_POSTGRES"}
ELSEWHERE |= {"SLUICE_VERSION", "SLUICE_REVISION"}
RULE = r"[JSTEPRHACUI]\d{1,2}"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_its_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if link.startswith("https://"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_programs_settings_and_metrics_that_it_names_exist(page: Path) -> None:
    text = text_of(page)
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+[a-z])", text, re.MULTILINE)) <= targets
    programs = set(re.findall(r"python3? -m ([a-z_]\w*(?:\.\w+)*)", text)) - {"pytest", "venv"}
    assert [name for name in programs if importlib.util.find_spec(name) is None] == []
    variables = set(re.findall(r"SLUICE_[A-Z_]*[A-Z]\b", text)) - ELSEWHERE
    assert {name for name in variables if not {name, name.removesuffix("_FILE")} & known_variables()} == set()
    assert set(re.findall(r"`(sluice_[a-z_]+)", text)) - {"sluice_reader", "sluice_owner"} <= set(collect_metrics())


def test_the_page_of_rules_knows_every_rule_that_a_test_or_a_comment_cites() -> None:
    listed = set(re.findall(rf"^(?:\*\*.*\*\*.*)?({RULE}) ", text_of(ROOT / "docs/RULES.md"), re.MULTILINE))
    code = [text_of(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    cited = {rule for text in code for rule in citations(text)}
    assert len(cited) > 50
    assert cited - listed == set()


def citations(code: str) -> Iterator[str]:
    for name in re.findall(rf"\btest_((?:{RULE}_)+)", code):
        yield from re.findall(RULE, name)
    for words in re.findall(rf"\((?:rules? )?({RULE}(?:(?:, | and | to ){RULE})*)\)", code):
        yield from re.findall(RULE, words)
