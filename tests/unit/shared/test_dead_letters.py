"""Dead letters: a rejected message keeps its content and headers, and their number has a limit."""

from datetime import UTC, datetime, timedelta

from shared.codec import Received
from shared.kafka.dead_letters import DeadLetterLimit, restore_record, to_dead_letter

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
ORIGIN = Received("sluice.runs", 3, 7, b"key", b"value", (("ce_type", b"x"),))


def test_a_dead_letter_is_restored_unchanged() -> None:
    letter = to_dead_letter(ORIGIN, group="g", reason="grün", at=NOW)
    assert letter.topic == "sluice.runs.dead"
    notes = dict(letter.headers)
    assert (notes["dead_topic"], notes["dead_partition"], notes["dead_offset"]) == (b"sluice.runs", b"3", b"7")
    assert notes["dead_reason"] == b"gr\\xfcn"
    back = restore_record(Received(letter.topic, 0, 0, letter.key, letter.value, letter.headers))
    assert (back.topic, back.key, back.value, back.headers) == ("sluice.runs", b"key", b"value", ORIGIN.headers)


def test_the_limit_counts_within_its_window_only() -> None:
    limit = DeadLetterLimit(maximum=2, within=timedelta(minutes=10))
    assert not limit.count(NOW)
    assert not limit.count(NOW)
    assert limit.count(NOW + timedelta(minutes=9))
    assert not limit.count(NOW + timedelta(minutes=30))
