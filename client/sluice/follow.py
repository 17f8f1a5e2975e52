"""Follows a run's changes as the server sends them (server-sent events)."""

import json
from collections.abc import Iterable, Iterator

import httpx

from sluice.api import Api, ApiRefused, Json

_AWAY = {429, 502, 503, 504}


def follow(api: Api, run: Json) -> Iterator[Json]:
    """Yield a run after each change behind the one that is given, until the stream ends or is cut off.

    Raises ApiRefused.
    """
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(run["version"])}
    try:
        with api.stream("/events", headers, run=run["id"]) as answer:
            yield from (json.loads(data) for kind, data in events(answer.iter_lines()) if kind == "run")
    except httpx.TransportError:
        return
    except ApiRefused as error:
        if error.status not in _AWAY:
            raise


def events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each event's kind and data from the lines of a `text/event-stream`; comments are passed over."""
    kind, data = "message", list[str]()
    for line in lines:
        if not line:
            if data:
                yield kind, "\n".join(data)
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
