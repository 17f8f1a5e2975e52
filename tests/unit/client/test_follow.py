"""Server-sent events are parsed as the HTML standard defines."""

from sluice.follow import parse_events


def test_events_end_at_an_empty_line_and_comments_are_skipped() -> None:
    stream = [": connected", "retry: 2000", "", "id: 7", "event: run", 'data: {"a":', "data: 1}", "", ": heartbeat", ""]
    assert list(parse_events(stream)) == [("run", '{"a":\n1}')]


def test_an_incomplete_event_is_dropped() -> None:
    assert list(parse_events(["event: run", "data: {}"])) == []
    assert list(parse_events(["data:no space", ""])) == [("message", "no space")]
