"""Free TCP ports on the loopback address."""

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range from which systems assign ports to outgoing connections, so that none takes a port between the moment
# it is chosen and the moment a slow starter such as Kafka listens on it.
FIRST, LAST = 15_000, 30_000

_reserved: set[int] = set()
"""Ports that this process has handed out: their users may not listen yet."""


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(*, preferred: int | None = None) -> int:
    """Return a port on which nothing listens, never the same one twice; the preferred one when it is free."""
    if preferred is not None and is_free(preferred):
        return preferred
    while True:
        port = random.SystemRandom().randint(FIRST, LAST)
        if port not in _reserved and is_free(port):
            _reserved.add(port)
            return port
