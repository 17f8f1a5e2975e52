"""The codec: what cannot be read is refused with a reason that holds none of its content."""

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from shared import tracing
from shared.codec import Received, Record, decode, encode
from shared.errors import InvalidMessage, UnknownVersion
from shared.outbox import SHARDS, pack_headers, select_shard, unpack_headers
from tests.contract.samples import AT, samples

EVENT = next(event for event in samples() if type(event).__name__ == "RunFailed")


def to_received(record: Record) -> Received:
    return Received(record.topic, 3, 7, record.key, record.value, record.headers)


GOOD = to_received(encode(EVENT, source="exporter", at=AT))


def with_header(name: str, value: bytes | None) -> Received:
    headers = tuple((each, text) for each, text in GOOD.headers if each != name)
    return replace(GOOD, headers=headers if value is None else (*headers, (name, value)))


def with_field(name: str, value: object) -> Received:
    assert GOOD.value is not None
    return replace(GOOD, value=json.dumps({**json.loads(GOOD.value), name: value}).encode())


def test_cloudevents_attributes_travel_in_the_headers() -> None:
    headers = dict(GOOD.headers)
    assert headers["ce_type"] == b"sluice.run.failed.v1"
    assert headers["ce_source"] == b"/sluice/exporter"
    assert headers["ce_time"] == b"2026-11-24T10:00:00.123456+00:00"
    assert headers["ce_subject"] == GOOD.key
    assert headers["ce_dataschema"] == b"https://sluice.example/schemas/run.failed.v1.schema.json"
    UUID(headers["ce_id"].decode())


def test_a_trace_goes_on_from_message_to_message() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with tracing.continue_trace(parent):
        record = encode(EVENT, source="exporter", at=AT)
        assert tracing.current_trace_id() == "0af7651916cd43dd8448eb211c80319c"
    traceparent = decode(to_received(record)).traceparent
    assert traceparent is not None
    assert traceparent.split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert tracing.current_trace_id() is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (with_header("ce_type", None), "header ce_type is missing"),
        (with_header("ce_type", b"sluice.run.exploded.v1"), "unknown event type 'sluice.run.exploded.v1'"),
        (
            with_header("ce_type", b"sluice.run.failed.v0"),
            r"unknown version; known versions of run.failed: \[1\]",
        ),
        (with_header("ce_type", b"\xff"), "header ce_type is missing or not ASCII"),
        (with_header("ce_id", None), "header ce_id is missing"),
        (replace(GOOD, topic="sluice.jobs"), "does not belong on topic sluice.jobs"),
        (replace(GOOD, value=b"{"), "does not match its schema"),
        (replace(GOOD, value=None), "has no value"),
        (replace(GOOD, key=str(uuid4()).encode()), "has the key of another event"),
        (replace(GOOD, key=b"x"), "key is not an id"),
        (with_field("attempt", "Geheim"), "attempt: int_parsing"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(record: Received, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason) as caught:
        decode(record)
    assert "Geheim" not in str(caught.value)


def test_fields_of_a_later_release_are_passed_over() -> None:
    assert decode(with_field("added_later", 1)).event == EVENT


def test_headers_survive_the_outbox() -> None:
    assert unpack_headers(pack_headers(GOOD.headers)) == GOOD.headers


def test_a_key_has_one_shard() -> None:
    keys = [str(uuid4()).encode() for _ in range(500)]
    assert {select_shard(key) for key in keys} == set(range(SHARDS))
    assert [select_shard(key) for key in keys] == [select_shard(bytes(key)) for key in keys]


def test_a_later_version_of_a_known_event_is_told_from_what_is_wrong() -> None:
    with pytest.raises(UnknownVersion, match=r"'sluice.run.failed.v2' is newer than this release, which reads"):
        decode(with_header("ce_type", b"sluice.run.failed.v2"))
