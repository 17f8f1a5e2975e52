"""Texts that people enter: what hides or reorders text is refused, every script is allowed, and pages isolate them."""

import re
from pathlib import Path

import pytest

from job_api.domain.texts import find_text_fault

TEMPLATES = sorted(Path("services/job-api/job_api/pages/templates").rglob("*.html"))
# What people have entered, where a template writes it as text and not into an attribute.
ENTERED = re.compile(
    r"(?P<before><[^<>]*>){{ "
    r"(?:(?:row|run|job\.settings)\.title|job_title|(?:key|certificate|user|identity)\.name)"
    r'(?: or "[A-Za-z ]+")? }}'
)


@pytest.mark.parametrize(
    "text", ["Nightly", "Büro, 夜间导出", "تصدير ليلي", "ייצוא 7", "a\u200eb", "👩‍💻", "“quoted” – dash", "\u00a0space"]
)
def test_J1_titles_in_every_script_are_allowed(text: str) -> None:
    assert find_text_fault(text) is None


@pytest.mark.parametrize("code", [0x00, 0x07, 0x1B, 0x7F, 0x85, 0x9B, 0x2028, 0x2029, *range(0x202A, 0x202F)])
def test_J1_control_characters_separators_and_bidi_overrides_are_refused(code: int) -> None:
    assert find_text_fault(f"a{chr(code)}b") is not None
    assert find_text_fault(f"a{chr(code)}b", multiline=True) is not None


@pytest.mark.parametrize("code", range(0x2066, 0x206A))
def test_J1_isolates_are_refused_as_they_may_be_left_open(code: int) -> None:
    assert find_text_fault(chr(code)) == "characters that change the direction of text are not allowed"


def test_J1_a_description_may_have_lines_and_a_title_may_not() -> None:
    assert find_text_fault("one\r\ntwo\tthree", multiline=True) is None
    assert find_text_fault("one\ntwo") == "control characters and line breaks are not allowed"


def test_pages_isolate_what_people_have_entered() -> None:
    found = [
        (template.name, each)
        for template in TEMPLATES
        for each in ENTERED.finditer(template.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 8
    assert [(name, each[0]) for name, each in found if not each["before"].startswith("<bdi")] == []
