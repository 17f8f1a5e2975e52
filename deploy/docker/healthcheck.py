"""Whether the process in this container is alive: asks its own /livez, over TLS where it serves that."""

import os
import ssl
import sys
import urllib.request
from collections.abc import Mapping


def address(environ: Mapping[str, str]) -> str:
    """Return where /livez is. The image sets every service's port, so any of them is the one."""
    ports = [text for name, text in environ.items() if name.startswith("SLUICE_") and name.endswith("_HTTP_PORT")]
    tls = any(name.startswith("SLUICE_") and name.endswith("_HTTP_TLS_CERT_FILE") for name in environ)
    return f"{'https' if tls else 'http'}://127.0.0.1:{ports[0] if ports else 8080}/livez"


def is_alive(url: str) -> bool:
    """Return whether it answers 200. Its certificate names the service, not this address, so it is not looked at."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=4, context=unchecked) as answer:  # noqa: S310 - ours, see above
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(address(os.environ)) else 1)
