"""Rule D4: the names of delivered objects stay below the prefix, and are different for different runs."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.values import DEFAULT_TEMPLATE
from shared.object_names import (
    MAX_NAME_BYTES,
    PLACEHOLDERS,
    InvalidTemplate,
    RunNames,
    build_name,
    check_prefix,
    check_template,
    make_safe,
)

RUN = RunNames(
    job_id=UUID(int=1),
    run_id=UUID(int=2),
    title="Nightly / all mail",
    type="interaction",
    slot=datetime(2026, 11, 24, 10, tzinfo=UTC),
)
segments = st.one_of(
    st.sampled_from(["..", ".", "", "a", " a", "a.", "{file}", "{slot}", "{run}", "{job}", "{title}", "%2e%2e"]),
    st.text(max_size=8),
)
templates = st.lists(segments, max_size=6).map("/".join)


def test_D4_the_default_template_is_valid_and_groups_by_job_and_slot() -> None:
    check_template(DEFAULT_TEMPLATE)
    assert build_name(DEFAULT_TEMPLATE, RUN, "a.zip.p7m") == f"{UUID(int=1)}/20261124T100000Z/a.zip.p7m"


def test_D4_every_documented_placeholder_is_replaced() -> None:
    inner = "/".join(f"{{{name}}}" for name in PLACEHOLDERS if name != "file")
    name = build_name(f"{inner}/{{file}}", RUN, "a")
    assert name == (
        f"{UUID(int=1)}/Nightly-all-mail/{UUID(int=2)}/interaction/20261124T100000Z/2026-11-24/2026/11/24/10/a"
    )


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("", "characters"),
        ("x" * 400 + "{file}", "characters"),
        ("../{run}/{file}", "leave the prefix"),
        ("a/../{run}/{file}", "leave the prefix"),
        ("a//{run}/{file}", "leave the prefix"),
        ("/{run}/{file}", "begin with '/'"),
        ("./{run}/{file}", "leave the prefix"),
        ("{run}\\{file}", "may contain"),
        ("{run}\x00/{file}", "may contain"),
        ("{run}/%2e%2e/{file}", "may contain"),
        ("{run}/{", "may contain"),
        ("{run}/{file}/x", "end with {file}"),
        ("{run}/{file}{file}", "end with {file}"),
        ("{run}", "end with {file}"),
        ("{run}/{customer}/{file}", "unknown placeholder"),
        ("{run}/{run.__class__}/{file}", "unknown placeholder"),
        ("{file}", "same names"),
        ("{slot}/{file}", "same names"),
        ("{job}/{date}/{file}", "same names"),
        ("{run}/a /{file}", "begin or end with a space"),
    ],
)
def test_D4_a_template_that_is_not_safe_is_refused_with_the_reason(template: str, reason: str) -> None:
    with pytest.raises(InvalidTemplate, match=reason):
        check_template(template)


def test_D4_names_that_recur_are_allowed_with_overwriting_only() -> None:
    check_template("latest/{file}", overwrite=True)


@given(template=templates, title=st.text(max_size=50), file=st.text(max_size=20))
def test_D4_no_template_title_or_file_leads_out_of_the_prefix(template: str, title: str, file: str) -> None:
    run = RunNames(job_id=uuid4(), run_id=uuid4(), title=title, type="contact", slot=RUN.slot)
    try:
        name = build_name(template, run, file)
    except InvalidTemplate:
        return
    assert not {"", ".", ".."} & set(name.split("/"))
    assert "\\" not in name.removesuffix(file)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert name.endswith(file)


@given(st.text(max_size=200))
def test_D4_a_title_becomes_a_single_segment(title: str) -> None:
    safe = make_safe(title)
    assert safe
    assert not set("/\\ \x00") & set(safe)
    assert safe not in {".", ".."}


@pytest.mark.parametrize("prefix", ["..", "a/../b", "/a", "a//b", "a\\b", "a\nb", "\ud800", "a/./b", "x" * 600])
def test_D4_a_prefix_that_leaves_itself_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidTemplate):
        check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["", "exports", "exports/", "a/b c/d-e_f=1", "Ausgänge"])
def test_D4_ordinary_prefixes_are_accepted(prefix: str) -> None:
    check_prefix(prefix)
