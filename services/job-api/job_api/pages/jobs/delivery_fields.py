"""The editor's fields about delivery: to which destinations, under which names, and how (D4, D6, D10).

The boxes that are ticked are one value of the form, ids separated by spaces, so that they are kept like any other.
"""

from collections.abc import Mapping
from uuid import UUID

from job_api.domain.drafts import MAX_KEEP_DAYS, MAX_WITHIN_HOURS
from shared.events import DeliverySettings
from shared.events.values import DEFAULT_TEMPLATE

LABELS = {
    "destinations": "Deliver to",
    "template": "Names of the objects",
    "overwrite": "Replace objects of the same name",
    "within_hours": "Try for",
    "keep_days": "Keep delivered files for",
}
BLANK = {"destinations": "", "template": DEFAULT_TEMPLATE, "overwrite": "", "within_hours": "24", "keep_days": ""}
FORM_FIELDS = {f"delivery.{name}": name for name in BLANK}
"""The form's field for a field of a job's delivery."""
_LONGEST = 9


def to_values(delivery: DeliverySettings | None) -> dict[str, str]:
    """Return the delivery of a job as values of the form."""
    if delivery is None:
        return dict(BLANK)
    return {
        "destinations": " ".join(str(each) for each in delivery.destinations),
        "template": delivery.template,
        "overwrite": "yes" if delivery.overwrite else "",
        "within_hours": str(delivery.within_hours),
        "keep_days": "" if delivery.keep_days is None else str(delivery.keep_days),
    }


def parse_delivery(values: Mapping[str, str], errors: dict[str, str]) -> DeliverySettings | None:
    """Return the delivery in a form, or None where no box is ticked; add the errors of fields that cannot be parsed."""
    ids = values["destinations"].split()
    if not ids:
        return None
    try:
        destinations = tuple(UUID(each) for each in ids)
    except ValueError:
        errors["destinations"] = "Select destinations from this list."
        return None
    hours = _parse_number(values["within_hours"], 1, MAX_WITHIN_HOURS)
    if hours is None:
        errors["within_hours"] = f"Enter a number from 1 to {MAX_WITHIN_HOURS}."
    days = _parse_number(values["keep_days"], 0, MAX_KEEP_DAYS) if values["keep_days"].strip() else None
    if days is None and values["keep_days"].strip():
        errors["keep_days"] = f"Enter a number from 0 to {MAX_KEEP_DAYS}, or leave it empty."
    return DeliverySettings(
        destinations=destinations,
        template=values["template"].strip(),
        overwrite=values["overwrite"] == "yes",
        within_hours=hours or 1,
        keep_days=days,
    )


def _parse_number(text: str, lowest: int, highest: int) -> int | None:
    text = text.strip()
    number = int(text) if text.isdecimal() and len(text) < _LONGEST else -1
    return number if lowest <= number <= highest else None
