"""A readiness check in Kafka's own protocol, which needs neither a client library nor an event loop."""

import socket
import struct

METADATA, VERSION = 3, 4


def is_broker_ready(host: str, port: int, *, limit: float = 2) -> bool:
    """Return whether the broker has joined its cluster and answers a metadata request; limit in seconds."""
    client = b"sluice-local"
    header = struct.pack(">hhih", METADATA, VERSION, 1, len(client)) + client
    request = header + struct.pack(">i?", -1, False)  # all topics, create none
    try:
        with socket.create_connection((host, port), timeout=limit) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _receive(connection, 4))
            answer = _receive(connection, size)
    except (OSError, struct.error):
        return False
    _correlation, _throttle, brokers = struct.unpack_from(">iii", answer)
    return bool(brokers > 0)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise OSError("the connection was closed")
        data += more
    return data
