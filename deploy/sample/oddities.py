"""Unusual but legal rows at fixed positions, so that every sample of 2,000 or more interactions has all of them."""

from json import dumps
from typing import Any

from deploy.sample.model import Interaction, Micros
from deploy.sample.nasty import NASTY, NASTY_ATTRIBUTES

MOON_LANDING: Micros = -14_182_940_000_000  # 1969-07-20T20:17:40Z
END_OF_TIME: Micros = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z, which some systems use for "never"

_TEXTS = list(NASTY.items())
_OBJECTS = list(NASTY_ATTRIBUTES.values())
_REQUIRED = {"id", "media_type_id", "start_date", "modified_date", "tenant_id"}
# Any: the type of a value depends on its column.
_FORMS: list[dict[str, Any]] = [
    {
        "subject": "",
        "text": "",
        "structured_text": "",
        "struct_text_mimetype": "",
        "the_comment": "",
        "queue_name": "",
        "external_id": "",
    },
    # Every optional column.
    {name: None for name in Interaction._fields if name not in _REQUIRED},
    {
        "owner_id": 2_147_483_647,
        "creator_app_id": -2_147_483_648,
        "status": 32_767,
        "time_shift": -32_768,
        "subtenant_id": -1,
    },
    {"subject": "S" * 3_999 + "ß"},
    {"owner_id": 0, "creator_app_id": 0, "time_shift": 0, "status": 0, "subtenant_id": 0},
    {"can_be_parent": False, "is_spam": True, "web_safe_email_status": "Read"},
    {"media_type_id": None},
]


def vary(row: Interaction, index: int) -> Interaction:
    """Return the row unchanged or, for some indexes, changed into one that is harder to export."""
    match index:
        case 5:
            return row._replace(start_date=MOON_LANDING)
        case 6:
            return row._replace(end_date=END_OF_TIME)
    if index % 53 == 11:
        return _nasty(row, index // 53)
    if index % 101 == 17:
        return row._replace(all_attributes=_OBJECTS[index // 101 % len(_OBJECTS)])
    if index % 211 == 23:
        return row._replace(**_FORMS[index // 211 % len(_FORMS)])
    return row


def _nasty(row: Interaction, turn: int) -> Interaction:
    name, text = _TEXTS[turn % len(_TEXTS)]
    # The text goes into every column that users or systems write into.
    return row._replace(
        text=text,
        subject=text[:4_000],
        structured_text=text,
        struct_text_mimetype="text/plain",
        the_comment=text,
        queue_name=text[:200],
        all_attributes=dumps({name: text, text[:100]: name}, ensure_ascii=turn % 2 == 0),
    )
