"""Merging the changes of two users, setting by setting: as the job was opened, as it is now, and as it was typed.

A setting is what a user decides as a whole: the interval means nothing without the kind of the schedule, so fields that
depend on each other are merged together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from job_api.domain import Draft
from job_api.pages.jobs.job_form import JobForm, parse_draft
from job_api.pages.kit.labels import SCHEDULE_LABELS, SOURCE_LABELS, TYPE_LABELS

SETTINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "title": ("Title", ("title",)),
    "description": ("Description", ("description",)),
    "source": ("Source", ("source",)),
    "records": ("Type and media types", ("type", "all_media", "media")),
    "schedule": ("Schedule", ("kind", "every", "begin", "start")),
    "timeframe": ("Export timeframe", ("timeframe", "last_count", "last_unit", "fixed_start", "fixed_end")),
    "split": ("File split size", ("split", "split_number", "split_unit")),
    "recipients": ("Encrypt for", ("recipients", "certificates")),
    "compression": ("Compression", ("compression",)),
    "cipher": ("Encryption", ("cipher",)),
    "catch_up": ("After an outage", ("catch_up",)),
    "overlap": ("If the previous run is still in progress", ("overlap",)),
    "attempts": ("Attempts", ("attempts",)),
    "delivery": ("Delivery", ("destinations", "template", "overwrite", "within_hours", "keep_days")),
    "kept": ("Filter", ("kept",)),
}
"""Each setting by its name: what the editor calls it, and its fields."""
_TUPLES = frozenset({"media", "certificates"})


@dataclass(frozen=True, slots=True)
class Merge:
    """The merged form, the settings taken from the other user, and those that both have changed, where it has mine."""

    form: JobForm
    taken: tuple[str, ...]
    conflicts: tuple[str, ...]


def merge_forms(opened: JobForm | None, theirs: JobForm, mine: JobForm) -> Merge:
    """Return the merge of two changes to the same job; without `opened`, every difference is a conflict."""
    base, now, typed = (_normalize(each) if each is not None else None for each in (opened, theirs, mine))
    assert now is not None
    assert typed is not None
    merged, taken, conflicts = mine, list[str](), list[str]()
    for name in SETTINGS:
        before, current, wanted = (_get(each, name) if each else None for each in (base, now, typed))
        if current in (wanted, before):
            continue
        if wanted == before:
            merged = take_setting(merged, name, theirs)
            taken.append(name)
        else:
            conflicts.append(name)
    return Merge(merged, tuple(taken), tuple(conflicts))


def take_setting(form: JobForm, name: str, other: JobForm) -> JobForm:
    """Return a form with one setting as in another."""
    fields = SETTINGS[name][1]
    values = {field: other.values[field] for field in fields if field not in _TUPLES}
    return replace(
        form,
        values={**form.values, **values},
        media=other.media if "media" in fields else form.media,
        certificates=other.certificates if "certificates" in fields else form.certificates,
    )


def describe_setting(form: JobForm, name: str, names: Mapping[str, str]) -> str:
    """Return the value of a setting in words; `names` are those of certificates and destinations by id."""
    values = form.values
    match name:
        case "source":
            words = SOURCE_LABELS.get(values["source"], values["source"])
        case "records":
            media = "all media types" if values["all_media"] else ", ".join(form.media) or "no media type"
            kind = TYPE_LABELS.get(values["type"], values["type"])
            words = kind if values["type"] == "contact" else f"{kind}, {media}"
        case "schedule":
            every = "" if values["kind"] == "once" else f", every {values['every']}"
            start = "immediately" if values["begin"] == "now" else f"from {_to_words(values['start'])}"
            words = f"{SCHEDULE_LABELS.get(values['kind'], values['kind'])}{every}, {start}"
        case "timeframe":
            words = _describe_timeframe(values)
        case "split":
            words = f"{values['split_number']} {values['split_unit']}" if values["split"] == "size" else "Single file"
        case "recipients":
            chosen = ", ".join(names.get(each, each) for each in form.certificates) or "No certificate"
            words = chosen if values["recipients"] == "selected" else "All active certificates"
        case "delivery":
            chosen = ", ".join(names.get(each, each) for each in values["destinations"].split())
            words = f"To {chosen}, as {values['template']}" if chosen else "To no destination"
        case _:
            words = values[name]
    return words or "Empty"


def _describe_timeframe(values: Mapping[str, str]) -> str:
    match values["timeframe"]:
        case "fixed":
            return f"From {_to_words(values['fixed_start'])} to {_to_words(values['fixed_end'])}"
        case "last":
            return f"The last {values['last_count']} {values['last_unit']}"
        case "since_last_run":
            return "Since the last run"
        case _:
            return "All"


def _to_words(instant: str) -> str:
    return f"{instant.replace('T', ' ')} UTC" if instant else "no date"


def _normalize(form: JobForm) -> JobForm:
    """Return a form as the editor would show it once it is saved, so that equal settings are equal texts."""
    draft, unreadable = parse_draft(form)
    return form if unreadable else JobForm.from_draft(_trim(draft))


def _trim(draft: Draft) -> Draft:
    return replace(draft, title=draft.title.strip(), description=draft.description.strip())


def _get(form: JobForm, name: str) -> Sequence[object]:
    values = {**form.values, "media": frozenset(form.media), "certificates": frozenset(form.certificates)}
    return [values[field] for field in SETTINGS[name][1]]
