"""Turns the output of a failed pip or uv into one line: the problem, and the command that helps."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """What went wrong, and the command that helps: one line each, the second may be empty."""

    problem: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.problem}; {self.hint}" if self.hint else self.problem


NO_SPACE = Failure("the disk is full", "free 2 GB and run make again")
NO_NETWORK = Failure(
    "the package registry cannot be reached", "check the network, or set a mirror with: export PIP_INDEX_URL=..."
)
REFUSED = Failure("the package registry refused the request", "check the address and password in: pip config list")
UNTRUSTED = Failure(
    "the package registry's certificate is not trusted", "set its authority with: export SSL_CERT_FILE=..."
)
HASH_MISMATCH = Failure(
    "a downloaded package differs from the lock", "clear the cache with: rm -r ~/.cache/uv ~/.cache/pip"
)
NOT_WRITABLE = Failure("a folder cannot be written", "check its owner with: ls -ld . .venv ~/.cache")
NO_WHEEL = Failure(
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
    (r"do not match the hashes|hash mismatch", HASH_MISMATCH),
    (r"permission denied|read-only file system|errno 13|errno 30", NOT_WRITABLE),
    (r"certificate verify failed|invalid peer certificate|unknownissuer", UNTRUSTED),
    (r"(status|error|http)[^\n]{0,40}\b(401|403|407)\b|unauthorized|forbidden", REFUSED),
    ("|".join(UNREACHABLE), NO_NETWORK),
    (r"no matching distribution|no wheels|no compatible|unsatisfiable", NO_WHEEL),
)


def explain_failure(output: str) -> Failure:
    """Return the meaning of a failed installer's output; its last line when the output is unknown."""
    text = output.lower()
    for pattern, failure in PATTERNS:
        if re.search(pattern, text):
            return failure
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return Failure(lines[-1] if lines else "it printed nothing")


def missing_venv(version: str) -> Failure:
    """Return the failure of a Python without its `venv` module, which Debian packages separately."""
    return Failure(f"this Python {version} has no venv", f"apt-get install python{version}-venv")
