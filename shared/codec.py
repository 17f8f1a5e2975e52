"""Converts events to Kafka messages and back: JSON values, CloudEvents attributes in the headers (binary mode)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, cast, get_args, get_type_hints
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError

from shared import events, tracing
from shared.errors import InvalidMessage, UnknownVersion
from shared.instants import OUT_OF_BOUNDS, is_accepted
from shared.schema_ids import SCHEMA_BASE
from shared.topics import TOPIC_OF

NAME_OF: dict[type[events.Event], tuple[str, int]] = {cls: name for name, cls in events.REGISTRY.items()}
ADAPTERS: dict[type[events.Event], TypeAdapter[events.Event]] = {cls: TypeAdapter(cls) for cls in NAME_OF}
_WITHOUT_VALUE: tuple[type[events.Event], ...] = (
    events.JobTombstone,
    events.CertificateTombstone,
    events.DestinationTombstone,
    events.IdentityTombstone,
)
TOMBSTONES = frozenset(_WITHOUT_VALUE)
"""Events that are messages without a value, so that compaction removes their key: they hold nothing but it."""
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A record to be sent to Kafka; a `value` of None makes it a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers


# Not frozen: one is created for every message read, and freezing would treble the cost. Nothing changes one.
@dataclass(slots=True)
class Received:
    """A record as it was received from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class Message:
    """An event and the record that carried it."""

    event: events.Event
    origin: Received

    @property
    def id(self) -> str:
        """The event's id, the same for every delivery of the event."""
        return self._header("ce_id") or ""

    @property
    def source(self) -> str:
        """The service that published the event."""
        return self._header("ce_source") or ""

    @property
    def traceparent(self) -> str | None:
        """The trace that the event belongs to, if it was published with one."""
        return self._header("traceparent")

    def _header(self, name: str) -> str | None:
        found = dict(self.origin.headers).get(name)
        return None if found is None else found.decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class _Decoder:
    """How to read events of one type and version."""

    event_type: type[events.Event]
    topic: str
    key: Callable[[events.Event], UUID]
    parse: Callable[[bytes], events.Event]
    instants: tuple[tuple[str, Callable[[events.Event], datetime | None]], ...]


def ce_type_of(event_type: type[events.Event]) -> str:
    """Return the value of the header `ce_type`: the event's type and version."""
    name, version = NAME_OF[event_type]
    return f"sluice.{name}.v{version}"


def schema_file(event_type: type[events.Event]) -> str:
    """Return the name of the file in `shared/schemas/` that holds the event's JSON Schema."""
    name, version = NAME_OF[event_type]
    return f"{name}.v{version}.schema.json"


def schema_id(event_type: type[events.Event]) -> str:
    """Return the `$id` of the event's JSON Schema, which is the value of the header `ce_dataschema`."""
    return SCHEMA_BASE + schema_file(event_type)


def key_of(event: events.Event) -> UUID:
    """Return the event's message key. All events of one job have the same key, and so one partition and one order."""
    key = getattr(event, TOPIC_OF[type(event)].key)
    assert isinstance(key, UUID)
    return key


def encode(event: events.Event, *, source: str, at: datetime) -> Record:
    """Return the record of an event that the service `source` publishes and that happened at `at`."""
    key = str(key_of(event))
    headers = (*common_headers(type(event), source=source, at=at), *own_headers(key))
    value = None if type(event) in TOMBSTONES else ADAPTERS[type(event)].dump_json(event)
    return Record(TOPIC_OF[type(event)].name, key.encode(), value, headers)


def common_headers(event_type: type[events.Event], *, source: str, at: datetime) -> Headers:
    """Return the headers that all events of one type, service and instant have in common."""
    schema = () if event_type in TOMBSTONES else (("ce_dataschema", schema_id(event_type).encode()),)
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", ce_type_of(event_type).encode()),
        ("ce_source", f"/sluice/{source}".encode()),
        ("ce_time", at.isoformat().encode()),
        *schema,
        ("content-type", b"application/json"),
    )


def own_headers(key: str) -> Headers:
    """Return the headers of a single event: a new id, its key as the subject, and the current trace."""
    return (
        ("ce_id", str(uuid4()).encode()),
        ("ce_subject", key.encode()),
        ("traceparent", tracing.current_traceparent().encode()),
    )


def decode(record: Received) -> Message:
    """Return the message of a record.

    Raises InvalidMessage when the record is not a known event on its own topic and under its own key, UnknownVersion
    when it is a later version of one; the reason never quotes the record's content, which may be personal data.
    """
    headers = dict(record.headers)
    decoder = _DECODERS.get(headers.get("ce_type", b""))
    if decoder is None or decoder.topic != record.topic or "ce_id" not in headers or "ce_source" not in headers:
        raise _header_error(record, headers)
    if (record.value is None) != (decoder.event_type in TOMBSTONES):
        raise InvalidMessage(f"{decoder.event_type.__name__} has {'no' if record.value is None else 'a'} value")
    if record.value is None:
        only_key = {TOPIC_OF[decoder.event_type].key: _parse_key(record.key)}
        return Message(ADAPTERS[decoder.event_type].validate_python(only_key), record)
    try:
        event = decoder.parse(record.value)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors())
        raise InvalidMessage(f"{decoder.event_type.__name__} does not match its schema: {faults}") from None
    for name, find in decoder.instants:
        if (at := find(event)) is not None and not is_accepted(at):
            raise InvalidMessage(f"{decoder.event_type.__name__}: {name} {OUT_OF_BOUNDS}")
    if decoder.key(event) != _parse_key(record.key):
        raise InvalidMessage(f"{decoder.event_type.__name__} has the key of another event")
    return Message(event, record)


def _header_error(record: Received, headers: dict[str, bytes]) -> InvalidMessage:
    """Return the error that describes what is wrong with a record's headers."""
    ce_type = headers.get("ce_type", b"")
    if not ce_type or not ce_type.isascii():
        return InvalidMessage("header ce_type is missing or not ASCII")
    decoder = _DECODERS.get(ce_type)
    if decoder is None:
        return _type_error(ce_type.decode("ascii"))
    if decoder.topic != record.topic:
        return InvalidMessage(f"{decoder.event_type.__name__} does not belong on topic {record.topic}")
    missing = next(name for name in ("ce_id", "ce_source") if name not in headers)
    return InvalidMessage(f"header {missing} is missing")


def _type_error(ce_type: str) -> InvalidMessage:
    name, _, version = ce_type.removeprefix("sluice.").rpartition(".v")
    known = sorted(number for kind, number in events.REGISTRY if kind == name)
    if not known:
        return InvalidMessage(f"unknown event type {ce_type!r}")
    if version.isdecimal() and int(version) > known[-1]:
        return UnknownVersion(f"{ce_type!r} is newer than this release, which reads versions {known} of {name}")
    if not version.isdecimal() or int(version) not in known:
        return InvalidMessage(f"{ce_type!r} has an unknown version; known versions of {name}: {known}")
    return InvalidMessage(f"{ce_type!r} is not a well-formed event type")


# All events of a job have one key, so the same keys recur.
@lru_cache(maxsize=20_000)
def _parse_key(key: bytes | None) -> UUID:
    try:
        return UUID((key or b"").decode("ascii"))
    except ValueError:
        raise InvalidMessage("the record's key is not an id") from None


def list_instants(cls: type) -> Iterator[str]:
    """Yield the names of the fields of an event that hold an instant, as `schedule.start`, nested ones included."""
    for name, kind in get_type_hints(cls).items():
        kinds = get_args(kind) or (kind,)
        if datetime in kinds:
            yield name
        for each in kinds:
            if isinstance(each, type) and is_dataclass(each):
                yield from (f"{name}.{inner}" for inner in list_instants(each))


def _create_getter(path: str) -> Callable[[events.Event], datetime | None]:
    """Return the function that finds an instant in an event; None where it, or what holds it, is absent."""
    find: Callable[[object], Any] = attrgetter(path)
    if "." not in path:
        return find

    def find_nested(event: events.Event) -> datetime | None:
        found: Any = event
        for name in path.split("."):
            if found is None:
                return None
            found = getattr(found, name)
        return cast("datetime | None", found)

    return find_nested


_DECODERS: dict[bytes, _Decoder] = {
    ce_type_of(cls).encode(): _Decoder(
        cls,
        TOPIC_OF[cls].name,
        attrgetter(TOPIC_OF[cls].key),
        ADAPTERS[cls].validator.validate_json,
        tuple((name, _create_getter(name)) for name in list_instants(cls)),
    )
    for cls in NAME_OF
}
