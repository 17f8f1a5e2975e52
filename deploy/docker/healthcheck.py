"""Checks whether the process in this container is alive: requests its /livez, over TLS where that is configured.

It imports little, since a check starts an interpreter, and connects directly: a proxy that the environment names is for
addresses outside the container.
"""

import os
import socket
import sys
from collections.abc import Mapping

SECONDS = 8.0
_REQUEST = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def find_address(environ: Mapping[str, str]) -> tuple[int, bool]:
    """Return the port to check and whether it serves TLS. The image sets one port for every service, so any will do."""
    ports = [text for name, text in environ.items() if name.startswith("SLUICE_") and name.endswith("_HTTP_PORT")]
    tls = any(name.startswith("SLUICE_") and name.endswith("_HTTP_TLS_CERT_FILE") for name in environ)
    return int(ports[0]) if ports else 8080, tls


def is_alive(port: int, tls: bool) -> bool:
    """Return whether it answers 200. The certificate is not verified: it names the service, not this address."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain:
            if not tls:
                return _answers_200(plain)
            import ssl  # as much to import as all the rest

            unverified = ssl.create_default_context()
            unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
            with unverified.wrap_socket(plain) as encrypted:
                return _answers_200(encrypted)
    except OSError:
        return False


def _answers_200(connection: socket.socket) -> bool:
    connection.sendall(_REQUEST)
    answer = b""
    while len(answer) < 12 and (received := connection.recv(64)):
        answer += received
    return answer[:8] == b"HTTP/1.1" and answer[8:12] == b" 200"


if __name__ == "__main__":
    sys.exit(0 if is_alive(*find_address(os.environ)) else 1)
