"""Events to Kafka records and back: JSON values, CloudEvents attributes (binary mode) in the headers."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError

from shared import events, tracing
from shared.errors import InvalidMessage
from shared.topics import TOPIC_OF

NAME_OF: dict[type[events.Event], tuple[str, int]] = {cls: name for name, cls in events.REGISTRY.items()}
TYPES: dict[str, type[events.Event]] = {
    f"sluice.{name}.v{number}": cls for (name, number), cls in events.REGISTRY.items()
}
ADAPTERS: dict[type[events.Event], TypeAdapter[events.Event]] = {cls: TypeAdapter(cls) for cls in NAME_OF}
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What goes to Kafka: `value` None is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Received:
    """A record as it came from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Message:
    """An event with the attributes it travelled with, and where it stood."""

    event: events.Event
    id: str
    source: str
    traceparent: str | None
    origin: Received


def key_of(event: events.Event) -> UUID:
    """Return the id that orders this event: everything about one job has one key, so one partition."""
    key = getattr(event, TOPIC_OF[type(event)].key)
    assert isinstance(key, UUID)
    return key


def encode(event: events.Event, *, source: str, at: datetime) -> Record:
    """Return the record of an event; `source` names the service, `at` is when it happened."""
    headers = (*common_headers(type(event), source=source, at=at), *own_headers())
    value = None if isinstance(event, events.JobDeleted) else ADAPTERS[type(event)].dump_json(event)
    return Record(TOPIC_OF[type(event)].name, str(key_of(event)).encode(), value, headers)


def common_headers(event_type: type[events.Event], *, source: str, at: datetime) -> Headers:
    """Return the headers that all events of one kind, service and instant have in common."""
    name, version = NAME_OF[event_type]
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", f"sluice.{name}.v{version}".encode()),
        ("ce_source", f"/sluice/{source}".encode()),
        ("ce_time", at.isoformat().encode()),
        ("content-type", b"application/json"),
    )


def own_headers() -> Headers:
    """Return the headers that each record has for itself: its id and its trace."""
    return ("ce_id", str(uuid4()).encode()), ("traceparent", tracing.traceparent().encode())


def decode(record: Received) -> Message:
    """Return the message of a record. Raises InvalidMessage, with the reason and without the content."""
    headers = dict(record.headers)
    event_type = _event_type(_text(headers, "ce_type"))
    if TOPIC_OF[event_type].name != record.topic:
        raise InvalidMessage(f"{event_type.__name__} does not belong on topic {record.topic}")
    return Message(
        event=_event(event_type, record),
        id=_text(headers, "ce_id"),
        source=_text(headers, "ce_source"),
        traceparent=headers["traceparent"].decode("ascii", "replace") if "traceparent" in headers else None,
        origin=record,
    )


def _text(headers: dict[str, bytes], name: str) -> str:
    try:
        return headers[name].decode("ascii")
    except (KeyError, UnicodeDecodeError):
        raise InvalidMessage(f"header {name} is missing or not ASCII") from None


def _event_type(ce_type: str) -> type[events.Event]:
    known_type = TYPES.get(ce_type)
    if known_type is not None:
        return known_type
    name, _, version = ce_type.removeprefix("sluice.").rpartition(".v")
    known = sorted(number for kind, number in events.REGISTRY if kind == name)
    if not known:
        raise InvalidMessage(f"unknown event type {ce_type!r}")
    if not version.isdecimal() or int(version) not in known:
        raise InvalidMessage(f"{ce_type!r} has a version that is not known here; known for {name}: {known}")
    raise InvalidMessage(f"{ce_type!r} is not written as it should be")


def _event(event_type: type[events.Event], record: Received) -> events.Event:
    if record.value is None:
        if event_type is not events.JobDeleted:
            raise InvalidMessage(f"{event_type.__name__} has no value")
        return events.JobDeleted(job_id=_key(record))
    try:
        event = ADAPTERS[event_type].validate_json(record.value)
    except ValidationError as error:
        # The places and kinds of the faults, never the values: they may be personal data.
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors())
        raise InvalidMessage(f"{event_type.__name__} does not fit its schema: {faults}") from None
    if str(key_of(event)).encode() != record.key and key_of(event) != _key(record):
        raise InvalidMessage(f"{event_type.__name__} travels under another key than its own")
    return event


def _key(record: Received) -> UUID:
    try:
        return UUID((record.key or b"").decode("ascii"))
    except ValueError:
        raise InvalidMessage("the record's key is not an id") from None
