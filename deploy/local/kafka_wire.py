"""One question in Kafka's own protocol: does this broker list its topics? It needs no client and no event loop."""

import socket
import struct

METADATA, VERSION = 3, 4


def lists_topics(host: str, port: int, *, limit: float = 2) -> bool:
    """Tell whether the broker answers a request for the metadata of all topics and has joined its cluster."""
    client = b"sluice-local"
    header = struct.pack(">hhih", METADATA, VERSION, 1, len(client)) + client
    request = header + struct.pack(">i?", -1, False)  # all topics, create none
    try:
        with socket.create_connection((host, port), timeout=limit) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _exactly(connection, 4))
            answer = _exactly(connection, size)
    except (OSError, struct.error):
        return False
    _correlation, _throttle, brokers = struct.unpack_from(">iii", answer)
    return bool(brokers > 0)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise OSError("the connection was closed")
        data += more
    return data
