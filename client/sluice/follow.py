"""Follows the changes of a run as server-sent events."""

import json
from collections.abc import Iterable, Iterator

import httpx

from sluice.api import Api, ApiError, Json

_TRANSIENT = {429, 502, 503, 504}


def follow(api: Api, run: Json) -> Iterator[Json]:
    """Yield the run after each change since the given version of it, until the stream ends or is interrupted.

    Raises ApiError for any problem but a transient one.
    """
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(run["version"])}
    try:
        with api.stream("/events", headers, run_id=run["id"]) as response:
            yield from (json.loads(data) for kind, data in parse_events(response.iter_lines()) if kind == "run")
    except httpx.TransportError:
        return
    except ApiError as error:
        if error.status not in _TRANSIENT:
            raise


def parse_events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the type and data of each event of a `text/event-stream` (HTML standard, section 9.2); skip comments."""
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
