"""Three-way merges of a job's settings, and where the editor shows errors."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from job_api.pages.jobs.draft_content import DraftContent
from job_api.pages.jobs.job_form import BLANK_VALUES, FIELD_LABELS, JobForm
from job_api.pages.jobs.merging import SETTINGS, describe_setting, merge_forms, take_setting
from job_api.pages.jobs.visible_fields import find_visible_field, place_errors

OPENED = JobForm(BLANK_VALUES | {"title": "Ours", "start": "2027-01-01T06:00"}, ("email",), ("a",))
CHANGES = {
    "title": {"title": "Another"},
    "description": {"description": "Other words"},
    "records": {"type": "contact"},
    "schedule": {"kind": "weekly", "every": "3"},
    "timeframe": {"timeframe": "last", "last_count": "9"},
    "split": {"split": "size", "split_number": "7"},
    "compression": {"compression": "small"},
    "cipher": {"cipher": "aes-256-gcm"},
    "catch_up": {"catch_up": "none"},
    "overlap": {"overlap": "queue"},
    "attempts": {"attempts": "9"},
}
"""A change of each setting, but the source, of which there is one, and the recipients, who are ids."""


def change(form: JobForm, names: set[str]) -> JobForm:
    for name in names:
        form = replace(form, values={**form.values, **CHANGES[name]})
    return form


def test_I3_every_field_of_the_form_belongs_to_one_setting_and_one_draft() -> None:
    merged = [field for _, names in SETTINGS.values() for field in names]
    assert sorted(merged) == sorted([*BLANK_VALUES, "media", "certificates"])
    assert set(FIELD_LABELS) == set(merged)
    content = DraftContent(form=OPENED, opened=OPENED, version=3, errors={"title": "x"}, conflicts=("title",), note="")
    assert DraftContent.from_document(content.to_document()) == content
    assert {each.name for each in fields(JobForm)} == {"values", "media", "certificates"}


@given(mine=st.sets(st.sampled_from(sorted(CHANGES))), theirs=st.sets(st.sampled_from(sorted(CHANGES))))
def test_I3_what_one_user_changed_is_merged_and_the_same_change_is_no_conflict(
    mine: set[str], theirs: set[str]
) -> None:
    merge = merge_forms(OPENED, change(OPENED, theirs), change(OPENED, mine))
    assert merge.conflicts == ()
    assert set(merge.taken) == theirs - mine
    assert merge.form == change(OPENED, mine | theirs)


@given(mine=st.sets(st.sampled_from(sorted(CHANGES))), theirs=st.sets(st.sampled_from(sorted(CHANGES))))
def test_I3_what_both_changed_differently_is_asked_about_and_nothing_else(mine: set[str], theirs: set[str]) -> None:
    other = change(OPENED, theirs)
    values = {"title": "Third", "description": "Third", "attempts": "3"}
    typed = replace(change(OPENED, mine), values={**change(OPENED, mine).values, **values})
    merge = merge_forms(OPENED, other, typed)
    assert set(merge.conflicts) == theirs & set(values)
    for name, value in values.items():
        assert merge.form.values[name] == value
        assert take_setting(merge.form, name, other).values[name] == other.values[name]


def test_I3_a_schedule_is_merged_as_a_whole() -> None:
    theirs = replace(OPENED, values={**OPENED.values, "kind": "weekly"})
    mine = replace(OPENED, values={**OPENED.values, "every": "4"})
    assert merge_forms(OPENED, theirs, mine).conflicts == ("schedule",)
    assert merge_forms(None, theirs, mine).conflicts == ("schedule",)
    assert describe_setting(theirs, "schedule", {}) == "Weekly, every 1, from 2027-01-01 06:00 UTC"
    assert describe_setting(OPENED, "recipients", {}) == "All active certificates"


def test_I3_how_a_value_is_written_is_no_change() -> None:
    opened = replace(OPENED, values={**OPENED.values, "title": " Ours ", "every": "01", "attempts": "05"})
    theirs = replace(OPENED, values={**OPENED.values, "title": "Theirs"})
    mine = replace(opened, values={**opened.values, "description": "Mine"})
    merge = merge_forms(opened, theirs, mine)
    assert (merge.conflicts, merge.taken) == ((), ("title",))
    assert (merge.form.values["title"], merge.form.values["description"]) == ("Theirs", "Mine")


def test_J1_an_error_of_a_hidden_field_stands_at_the_field_that_hides_it() -> None:
    assert place_errors({"certificates": "None.", "title": "No."}, OPENED) == {"recipients": "None.", "title": "No."}
    selected = replace(OPENED, values={**OPENED.values, "recipients": "selected"})
    assert place_errors({"certificates": "None."}, selected) == {"certificates": "None."}
    assert find_visible_field("start", replace(OPENED, values={**OPENED.values, "begin": "now"})) == "begin"
    once = replace(OPENED, values={**OPENED.values, "kind": "once"})
    assert place_errors({"every": "A.", "kind": "B."}, once) == {"kind": "A. B."}
