"""Turns what pip and uv print when they fail into one line, and the command that mends it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """What went wrong, and what helps; both one line, the second may be empty."""

    problem: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.problem}; {self.hint}" if self.hint else self.problem


NO_SPACE = Words("the disk is full", "free 2 GB and run make again")
NO_NETWORK = Words(
    "the package registry cannot be reached", "check the network, or name a mirror with: export PIP_INDEX_URL=..."
)
REFUSED = Words("the package registry refused the request", "check the address and password in: pip config list")
UNTRUSTED = Words(
    "the package registry's certificate is not trusted", "name the authority with: export SSL_CERT_FILE=..."
)
CHANGED = Words("a downloaded package differs from the lock", "clear the cache with: rm -r ~/.cache/uv ~/.cache/pip")
CLOSED = Words("a folder cannot be written", "look at its owner with: ls -ld . .venv ~/.cache")
NO_WHEEL = Words(
    "a package has no build for this machine and Python",
    "use Python 3.11, 3.12 or 3.13 on Linux with an x86-64 processor, or on macOS",
)

UNREACHABLE = (
    "name resolution",
    "name or service not known",
    "dns error",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "timed out",
    "error sending request",
    "failed to establish",
    "could not connect",
    "proxyerror",
)

# The order matters: a failed download often ends in a sentence about a missing version.
PATTERNS = (
    (r"no space left|errno 28|disk quota", NO_SPACE),
    (r"do not match the hashes|hash mismatch", CHANGED),
    (r"permission denied|read-only file system|errno 13|errno 30", CLOSED),
    (r"certificate verify failed|invalid peer certificate|unknownissuer", UNTRUSTED),
    (r"(status|error|http)[^\n]{0,40}\b(401|403|407)\b|unauthorized|forbidden", REFUSED),
    ("|".join(UNREACHABLE), NO_NETWORK),
    (r"no matching distribution|no wheels|no compatible|unsatisfiable", NO_WHEEL),
)


def explain(output: str) -> Words:
    """Return what a failed installer's output means; its own last line when that is nothing known."""
    text = output.lower()
    for pattern, words in PATTERNS:
        if re.search(pattern, text):
            return words
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return Words(lines[-1] if lines else "it said nothing")


def no_venv(version: str) -> Words:
    """Return what to do where Python comes without its `venv` (Debian packs it apart)."""
    return Words(f"this Python {version} has no venv", f"apt-get install python{version}-venv")
