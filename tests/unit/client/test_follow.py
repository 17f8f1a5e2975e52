"""Server-sent events are read as the standard says."""

from sluice.follow import events


def test_events_end_at_an_empty_line_and_comments_are_passed_over() -> None:
    stream = [": connected", "retry: 2000", "", "id: 7", "event: run", 'data: {"a":', "data: 1}", "", ": heartbeat", ""]
    assert list(events(stream)) == [("run", '{"a":\n1}')]


def test_an_event_that_was_cut_off_is_not_given() -> None:
    assert list(events(["event: run", "data: {}"])) == []
    assert list(events(["data:no space", ""])) == [("message", "no space")]
