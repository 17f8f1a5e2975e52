"""What the hostile walk counts: requests, and answers that must not be."""

import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

Kind = Literal["server_errors", "undocumented", "foreign_seen", "slow", "stopped"]
KINDS: tuple[Kind, ...] = ("server_errors", "undocumented", "foreign_seen", "slow", "stopped")


@dataclass
class Report:
    """The number of requests, and sentences about what was found."""

    requests: int = 0
    found: dict[Kind, list[str]] = field(default_factory=lambda: defaultdict(list))

    def count(self, what: str, answer: httpx.Response) -> None:
        """Count an answer; 500 is never right, whatever was asked."""
        self.requests += 1
        if answer.status_code == 500:
            self.note("server_errors", f"{what}: {answer.text[:300]}")

    def note(self, kind: Kind, text: str) -> None:
        """Note a finding."""
        self.found[kind].append(text)
        sys.stderr.write(f"{kind}: {text}\n")

    def to_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"requests": self.requests} | {kind: len(self.found[kind]) for kind in KINDS}
