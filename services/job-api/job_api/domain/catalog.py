"""What can be exported, as data: sources, record types and the words for media types."""

from dataclasses import dataclass

from shared.events.values import RecordType


@dataclass(frozen=True, slots=True)
class Source:
    """A place that records come from, and the record types it has."""

    source_id: str
    title: str
    types: tuple[tuple[RecordType, str], ...]


SOURCES = (Source("contact_history", "Contact history", (("interaction", "Interactions"), ("contact", "Contacts"))),)
NOT_OFFERED = {
    "info_mart": "Info Mart is not a source of exports: only the contact history can be exported. "
    "Take 'contact_history', or ask your Info Mart's administrator for an extract."
}
"""Sources that people ask for and that there is a reason not to have (J2)."""

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


def media_title(media_type: str) -> str:
    """Return the words for a media type; a tenant's own ones are their own words."""
    return _MEDIA_TITLES.get(media_type, media_type)
