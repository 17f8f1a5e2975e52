"""What can be exported, as data: sources, their record types, and the titles of media types."""

from dataclasses import dataclass

from shared.events.values import RecordType


@dataclass(frozen=True, slots=True)
class CatalogSource:
    """A source of records and the record types it offers, each with its title."""

    source_id: str
    title: str
    types: tuple[tuple[RecordType, str], ...]


SOURCES = (
    CatalogSource("contact_history", "Contact history", (("interaction", "Interactions"), ("contact", "Contacts"))),
)
UNSUPPORTED_SOURCES = {
    "info_mart": "Info Mart is not supported as a source: only the contact history can be exported. "
    "Use 'contact_history', or ask your Info Mart's administrator for an extract."
}
"""Sources that users ask for, with the reason why each is not supported (rule J2)."""

DEFAULT_MEDIA_TYPES = ("email", "chat", "voice", "callback", "sms", "whatsapp", "facebook", "workitem")
_MEDIA_TITLES = {
    "email": "E-mail",
    "chat": "Chat",
    "voice": "Voice",
    "callback": "Callback",
    "sms": "SMS",
    "whatsapp": "WhatsApp",
    "facebook": "Facebook",
    "workitem": "Work item",
}


def format_media_type(media_type: str) -> str:
    """Return the title of a media type; a tenant's own media types are their own titles."""
    return _MEDIA_TITLES.get(media_type, media_type)
