"""Checks whether the process in this container is alive: requests its /livez, over TLS where that is configured."""

import os
import ssl
import sys
import urllib.request
from collections.abc import Mapping


def find_address(environ: Mapping[str, str]) -> str:
    """Return the address of /livez. The image sets the port of every service to the same value, so any will do."""
    ports = [text for name, text in environ.items() if name.startswith("SLUICE_") and name.endswith("_HTTP_PORT")]
    tls = any(name.startswith("SLUICE_") and name.endswith("_HTTP_TLS_CERT_FILE") for name in environ)
    return f"{'https' if tls else 'http'}://127.0.0.1:{ports[0] if ports else 8080}/livez"


def is_alive(url: str) -> bool:
    """Return whether it answers 200. The certificate is not verified: it names the service, not this address."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=4, context=unverified) as answer:  # noqa: S310 - an address of our own
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(find_address(os.environ)) else 1)
