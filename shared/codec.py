"""Events to Kafka records and back: JSON values, CloudEvents attributes (binary mode) in the headers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
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


# One is made of every message that is read, and freezing would treble what that costs; nobody changes one all the same.
@dataclass(slots=True)
class Received:
    """A record as it came from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class Message:
    """An event, and the record that it came in with the attributes it travelled with."""

    event: events.Event
    origin: Received

    @property
    def id(self) -> str:
        """The event's id, the same whenever it is delivered."""
        return self._header("ce_id") or ""

    @property
    def source(self) -> str:
        """Which service sent it."""
        return self._header("ce_source") or ""

    @property
    def traceparent(self) -> str | None:
        """The trace that it belongs to, where it was sent with one."""
        return self._header("traceparent")

    def _header(self, name: str) -> str | None:
        found = dict(self.origin.headers).get(name)
        return None if found is None else found.decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of a type of event before one of it is read."""

    event_type: type[events.Event]
    topic: str
    key: Callable[[events.Event], UUID]
    read: Callable[[bytes], events.Event]


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
    return ("ce_id", str(uuid4()).encode()), ("traceparent", tracing.current_traceparent().encode())


def decode(record: Received) -> Message:
    """Return the message of a record. Raises InvalidMessage, with the reason and without the content."""
    headers = dict(record.headers)
    kind = _KINDS.get(headers.get("ce_type", b""))
    if kind is None or kind.topic != record.topic or "ce_id" not in headers or "ce_source" not in headers:
        raise _refusal(record, headers)
    if record.value is None:
        if kind.event_type is not events.JobDeleted:
            raise InvalidMessage(f"{kind.event_type.__name__} has no value")
        return Message(events.JobDeleted(job_id=_key(record.key)), record)
    try:
        event = kind.read(record.value)
    except ValidationError as error:
        # The places and kinds of the faults, never the values: they may be personal data.
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors())
        raise InvalidMessage(f"{kind.event_type.__name__} does not fit its schema: {faults}") from None
    if kind.key(event) != _key(record.key):
        raise InvalidMessage(f"{kind.event_type.__name__} travels under another key than its own")
    return Message(event, record)


def _refusal(record: Received, headers: dict[str, bytes]) -> InvalidMessage:
    """Return why the headers of a record are refused."""
    ce_type = headers.get("ce_type", b"")
    if not ce_type or not ce_type.isascii():
        return InvalidMessage("header ce_type is missing or not ASCII")
    kind = _KINDS.get(ce_type)
    if kind is None:
        return _unknown(ce_type.decode("ascii"))
    if kind.topic != record.topic:
        return InvalidMessage(f"{kind.event_type.__name__} does not belong on topic {record.topic}")
    missing = next(name for name in ("ce_id", "ce_source") if name not in headers)
    return InvalidMessage(f"header {missing} is missing")


def _unknown(ce_type: str) -> InvalidMessage:
    name, _, version = ce_type.removeprefix("sluice.").rpartition(".v")
    known = sorted(number for kind, number in events.REGISTRY if kind == name)
    if not known:
        return InvalidMessage(f"unknown event type {ce_type!r}")
    if not version.isdecimal() or int(version) not in known:
        return InvalidMessage(f"{ce_type!r} has a version that is not known here; known for {name}: {known}")
    return InvalidMessage(f"{ce_type!r} is not written as it should be")


# Everything about one job has one key, so the same keys come again and again.
@lru_cache(maxsize=20_000)
def _key(key: bytes | None) -> UUID:
    try:
        return UUID((key or b"").decode("ascii"))
    except ValueError:
        raise InvalidMessage("the record's key is not an id") from None


_KINDS: dict[bytes, _Kind] = {
    name.encode(): _Kind(cls, TOPIC_OF[cls].name, attrgetter(TOPIC_OF[cls].key), ADAPTERS[cls].validator.validate_json)
    for name, cls in TYPES.items()
}
