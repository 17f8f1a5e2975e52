"""Streams of server-sent events: how one ends that gives way to a newer stream of the same caller."""

import json

CLOSED_EVENT = "closed"
CLOSED_DETAIL = "A newer stream of the same caller took this one's place: close others before you open it again."
CLOSED_DATA = json.dumps({"detail": CLOSED_DETAIL})
CLOSED_MESSAGE = f"event: {CLOSED_EVENT}\ndata: {CLOSED_DATA}\n\n".encode()
"""The last message of such a stream, as bytes for a proxy that passes the stream on."""
