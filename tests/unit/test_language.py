"""The language of the code base: functions are verbs, and words that the glossary retires stay retired."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unit.sources import ROOT, read_source

GLOSSARY = ROOT / "docs/GLOSSARY.md"
TEXTS = {".py", ".md", ".html", ".sql", ".js", ".css", ".c", ".yaml", ".yml", ".toml", ".sh", ".tpl"}
NAMES_IN = ("shared/", "services/", "client/", "deploy/", "tests/support/")
# Texts that are not ours (invented mails of the sample data, the license), and the lists of the words themselves.
FOREIGN = {"deploy/sample/phrases.toml", "LICENSE"}
WORD_LISTS = {"docs/GLOSSARY.md", "tests/unit/test_language.py"}

# Words that end like participles and are verbs, nouns or prepositions.
NOT_PARTICIPLES = {
    "bring", "embed", "exceed", "feed", "need", "ping", "proceed", "read", "ring", "seed", "speed", "string", "succeed",
}  # fmt: skip
IRREGULAR_PARTICIPLES = {
    "begun", "born", "brought", "built", "cut_off", "done", "drawn", "fallen", "found", "given", "gone", "held", "kept",
    "known", "left", "lost", "made", "met", "seen", "sent", "shown", "spent", "taken", "told", "torn", "understood",
    "woken", "written",
}  # fmt: skip
ADJECTIVES = {
    "absent", "alive", "blank", "busy", "dead", "due", "empty", "fresh", "full", "idle", "invalid", "last", "late",
    "latest", "live", "new", "old", "private", "pure", "raw", "ready", "silent", "stale", "sure", "true", "unready",
    "valid", "whole",
}  # fmt: skip
# A public function may bear such a name only for the reason given here.
ALLOWED: dict[str, str] = {}


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for path in listed.splitlines() if (ROOT / path).is_file())


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def retired(kind: str) -> tuple[str, ...]:
    """The first column of the glossary's table of retired phrases or names."""
    table = text_of("docs/GLOSSARY.md").partition(f"| retired {kind} | use |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split("|")[0] for line in table.splitlines()]
    return tuple(word.strip() for row in rows for word in row.split(","))


def public_functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions that a module or a class of it offers; properties are nouns, and may be adjectives."""
    source = read_source(ROOT / path)
    scopes: list[ast.Module | ast.ClassDef] = [source.tree]
    scopes += (node for node in source.nodes if isinstance(node, ast.ClassDef))
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                decorators = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
                if not decorators & {"property", "cached_property", "override"}:
                    yield node


def is_participle_or_adjective(name: str) -> bool:
    if name in NOT_PARTICIPLES:
        return False
    return name in IRREGULAR_PARTICIPLES | ADJECTIVES or ("_" not in name and name.endswith(("ed", "ing")))


def test_public_functions_are_named_by_verbs() -> None:
    faults = [
        f"{path}:{node.lineno} {node.name}"
        for path in tracked()
        if path.endswith(".py") and path.startswith(NAMES_IN)
        for node in public_functions(path)
        if is_participle_or_adjective(node.name) and f"{path}:{node.name}" not in ALLOWED
    ]
    assert faults == [], "say what the function does: parse_query, not asked"


def test_each_allowed_name_is_still_needed() -> None:
    paths = {each.partition(":")[0] for each in ALLOWED}
    needed = {f"{path}:{node.name}" for path in paths for node in public_functions(path)}
    assert set(ALLOWED) <= needed


def test_no_text_uses_a_retired_phrase() -> None:
    phrases = "|".join(re.escape(each).replace(r"\ ", r"\s+(?:[#*]\s*|--\s*|//\s*)?") for each in retired("phrase"))
    pattern = re.compile(rf"(?<![\w-])(?:{phrases})(?![\w(-])", re.IGNORECASE)
    faults = [
        f"{path}:{text_of(path).count(chr(10), 0, found.start()) + 1} {found[0]!r}"
        for path in tracked()
        if Path(path).suffix in TEXTS | {""} and path not in FOREIGN and path not in WORD_LISTS
        for found in pattern.finditer(text_of(path))
    ]
    assert faults == [], "docs/GLOSSARY.md says what to write instead"


@cache
def words_of(name: str) -> set[str]:
    """The lower-case words of an identifier in snake or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def identifiers(path: str) -> Iterator[tuple[int, str]]:
    for node in read_source(ROOT / path).nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def test_no_identifier_uses_a_retired_name() -> None:
    names = set(retired("name"))
    faults = [
        f"{path}:{line} {name}"
        for path in tracked()
        if path.endswith(".py") and path.startswith((*NAMES_IN, "tests/"))
        for line, name in identifiers(path)
        if words_of(name) & names and not name.startswith("test_")
    ]
    assert faults == [], "docs/GLOSSARY.md says what to write instead"


@pytest.mark.parametrize(
    ("name", "refused"),
    [("asked", True), ("told", True), ("fresh", True), ("running", True), ("parse_query", False), ("feed", False)],
)
def test_the_rule_knows_participles_from_verbs(name: str, refused: bool) -> None:
    assert is_participle_or_adjective(name) is refused


def test_the_glossary_defines_each_term_where_it_says() -> None:
    places = re.findall(r"\| `([\w./-]+)` \|$", text_of("docs/GLOSSARY.md"), re.MULTILINE)
    roots = ("", "services/job-api/", "services/scheduler/", "services/exporter/", "services/history/")
    missing = [place for place in places if not any((ROOT / root / place).exists() for root in roots)]
    assert missing == []
