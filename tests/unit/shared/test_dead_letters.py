"""Dead letters: a rejected message keeps its content and its place, and the number of letters has a limit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.codec import Received, Record
from shared.kafka.dead_letters import (
    DeadLetterLimit,
    find_origin,
    read_dead_letter,
    to_dead_letter,
    to_replay_record,
    to_replayed_mark,
)

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
ORIGIN = Received("sluice.runs", 3, 7, b"key", b"value", (("ce_type", b"x"),))


def received(record: Record) -> Received:
    return Received(record.topic, 0, 0, record.key, record.value, record.headers)


@pytest.mark.parametrize("origin", [ORIGIN, replace(ORIGIN, key=None), replace(ORIGIN, value=None, key=b"")])
def test_a_letter_is_replayed_to_its_group_unchanged(origin: Received) -> None:
    dead = to_dead_letter(origin, group="g", reason="grün", at=NOW)
    assert dead.topic == "sluice.runs.dead"
    notes = dict(dead.headers)
    assert (notes["dead_topic"], notes["dead_partition"], notes["dead_offset"]) == (b"sluice.runs", b"3", b"7")
    assert notes["dead_reason"] == b"gr\\xfcn"
    letter = read_dead_letter(received(dead))
    assert letter is not None
    assert (letter.group, letter.message, letter.replayed) == ("g", origin, None)
    again = to_replay_record(letter, topic="g.replay")
    assert (again.topic, again.key) == ("g.replay", origin.key or b"")
    assert find_origin(received(again)) == origin


def test_a_letter_has_one_key_however_often_it_is_written_and_its_mark_too() -> None:
    first = to_dead_letter(ORIGIN, group="g", reason="one", at=NOW)
    letter = read_dead_letter(received(first))
    assert letter is not None
    again = to_dead_letter(letter.message, group="g", reason="another", at=NOW + timedelta(days=1))
    mark = to_replayed_mark(letter, at=NOW)
    assert {first.key, again.key, mark.key} == {b"g|sluice.runs|3|7"}
    assert mark.topic == first.topic
    marked = read_dead_letter(received(mark))
    assert marked is not None
    assert (marked.id, marked.replayed) == (letter.id, letter.offset)
    assert to_dead_letter(ORIGIN, group="h", reason="one", at=NOW).key != first.key


def test_a_record_that_is_no_letter_is_ignored() -> None:
    assert read_dead_letter(ORIGIN) is None
    assert find_origin(replace(ORIGIN, headers=(("dead_topic", b"x"), ("dead_partition", b"?")))) is None


def test_the_limit_counts_within_its_window_only() -> None:
    limit = DeadLetterLimit(maximum=2, within=timedelta(minutes=10))
    assert not limit.count(NOW)
    assert not limit.count(NOW)
    assert limit.count(NOW + timedelta(minutes=9))
    assert not limit.count(NOW + timedelta(minutes=30))
