"""Which fields of the editor are visible: an error stands at a field that can be seen, and its link leads there.

The stylesheet hides fields that do not apply to the options selected (`.editor:has(...)`). These are the same rules.
"""

from collections.abc import Callable, Mapping

from job_api.pages.jobs.job_form import JobForm

_Rule = tuple[str, Callable[[JobForm], bool]]
_ONCE: _Rule = ("kind", lambda form: form.values["kind"] == "once")
_NOT_LAST: _Rule = ("timeframe", lambda form: form.values["timeframe"] != "last")
_NOT_FIXED: _Rule = ("timeframe", lambda form: form.values["timeframe"] != "fixed")
_NOT_SPLIT: _Rule = ("split", lambda form: form.values["split"] != "size")
_HIDDEN: Mapping[str, _Rule] = {
    "media": ("type", lambda form: form.values["type"] == "contact"),
    "all_media": ("type", lambda form: form.values["type"] == "contact"),
    "every": _ONCE,
    "catch_up": _ONCE,
    "overlap": _ONCE,
    "start": ("begin", lambda form: form.values["begin"] == "now"),
    "last_count": _NOT_LAST,
    "last_unit": _NOT_LAST,
    "fixed_start": _NOT_FIXED,
    "fixed_end": _NOT_FIXED,
    "split_number": _NOT_SPLIT,
    "split_unit": _NOT_SPLIT,
    "certificates": ("recipients", lambda form: form.values["recipients"] != "selected"),
}
"""For each field that may be hidden: the field that decides, and whether it hides this one."""


def find_visible_field(name: str, form: JobForm) -> str:
    """Return a field, or the one that hides it."""
    by, is_hidden = _HIDDEN.get(name, ("", lambda _: False))
    return by if is_hidden(form) else name


def place_errors(errors: Mapping[str, str], form: JobForm) -> dict[str, str]:
    """Return errors of fields at fields that can be seen."""
    placed: dict[str, str] = {}
    for name, message in errors.items():
        visible = find_visible_field(name, form)
        placed[visible] = f"{placed[visible]} {message}" if visible in placed else message
    return placed
